"""Generate the test domains: `python -m tests.domains.generate`, by the generator that users run.

Each folder of protos/ is an app of its own: `later` is what a later release of `bank` could be, under the same names.
"""

from pathlib import Path

from comby.codegen import protoc

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write the code of every contract below protos/."""
    for root in sorted((HERE / "protos").iterdir()):
        protoc.generate([root], HERE.parent.parent)


if __name__ == "__main__":
    main()
