"""Generate the wheel comby-api and the shop's code; with --check, compare instead of writing.

Run by tools/generate, in an environment that holds the pinned generators only.
"""

import argparse
import filecmp
import shutil
import sys
import tempfile
from pathlib import Path

from comby.codegen import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO_ROOTS = (ROOT / "protos", ROOT / "third_party")
SHOP = Path("examples", "shop")
GENERATED = (
    "*_pb2.py",
    "*_pb2.pyi",
    "*_pb2_grpc.py",
    "*_pb2_grpc.pyi",
    "*_types.py",
    "*_client.py",
    "__init__.py",
    "py.typed",
)


def generate(out: Path) -> None:
    """Write everything that is generated below `out`, laid out as in the repository."""
    copies = out / "generated" / "comby" / "protos"
    shutil.rmtree(copies, ignore_errors=True)
    for root in PROTO_ROOTS:
        shutil.copytree(root, copies, dirs_exist_ok=True)
    (copies / "__init__.py").touch()
    protoc.generate(PROTO_ROOTS, out / "generated", files=protoc.find(PROTO_ROOTS[:1]))
    protoc.generate([ROOT / SHOP / "protos"], out / SHOP)


def generated(root: Path) -> set[Path]:
    """Return the generated files below `root`, relative to it."""
    files = {path for path in (root / "generated" / "comby").rglob("*") if path.is_file()}
    files |= {path for pattern in GENERATED for path in (root / SHOP / "shop").rglob(f"v1/{pattern}")}
    return {path.relative_to(root) for path in files if "__pycache__" not in path.parts}


def differences(fresh: Path) -> list[str]:
    """Return a line for each generated file that is missing, too many or different in the repository."""
    want, have = generated(fresh), generated(ROOT)
    lines = [f"missing: {path}" for path in sorted(want - have)] + [
        f"left over: {path}" for path in sorted(have - want)
    ]
    common = sorted(want & have)
    return lines + [f"differs: {path}" for path in common if not filecmp.cmp(fresh / path, ROOT / path, shallow=False)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="fail when the checked-in code is not what would be generated"
    )
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as temporary:
        fresh = Path(temporary)
        generate(fresh)
        found = differences(fresh)
        if check:
            print("\n".join(found) or "generated code is up to date")
            return 1 if found else 0
        for path in sorted(generated(ROOT) - generated(fresh)):
            (ROOT / path).unlink()
    generate(ROOT)
    print(f"{len(generated(ROOT))} files are generated")
    return 0


if __name__ == "__main__":
    sys.exit(main())
