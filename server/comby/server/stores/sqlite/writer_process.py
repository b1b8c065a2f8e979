"""Where the writer's process begins: `python writer_process.py PATH DURABLE SOCKET PARENT`.

The packages above this room are made bare, without running their `__init__`: those bring in the whole server, which takes half a
second and 60 MiB that the writer has no use for.
"""

import sys
from pathlib import Path
from types import ModuleType

ROOM = Path(__file__).resolve().parent
PACKAGES = ("comby", "comby.server", "comby.server.stores", "comby.server.stores.sqlite")
DURABLE = "durable"


def main() -> None:
    """Serve the writer of a file until the server that started this process closes it, or is gone."""
    for depth, name in enumerate(reversed(PACKAGES)):
        package = ModuleType(name)
        package.__path__ = [str(ROOM.parents[depth - 1] if depth else ROOM)]
        sys.modules[name] = package
    from comby.server.stores.sqlite.writer_service import serve

    path, durable, descriptor, parent = sys.argv[1:]
    serve(Path(path), durable=durable == DURABLE, descriptor=int(descriptor), parent=int(parent))


if __name__ == "__main__":
    main()
