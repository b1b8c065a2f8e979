"""Where the command line begins."""

import os


def main() -> None:
    """Run the command line, with the commands of all installed wheels."""
    # Core reads this when it is imported. It would write lines to standard error that are no JSON; what it fails at is raised too.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from comby.server.commands import add_installed_commands, root

    add_installed_commands()
    root()


if __name__ == "__main__":
    main()
