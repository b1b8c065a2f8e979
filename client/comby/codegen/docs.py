"""Comments of .proto files as Python docstrings."""

from comby.codegen.model import ProtoFile


def docstring(text: str) -> str:
    """Return the text so that it may stand between triple double quotes."""
    text = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'{text[:-1]}\\"' if text.endswith('"') and not text.endswith('\\"') else text


def indented(text: str, columns: int) -> str:
    """Return the text with every line after the first moved in; empty lines stay empty."""
    first, *rest = text.split("\n")
    return "\n".join([first, *(" " * columns + line if line else "" for line in rest)])


def without_subject(text: str, name: str) -> str:
    """Return "may be empty" for the comment "order_id may be empty" of the field order_id."""
    return text.removeprefix(f"{name} ").removeprefix(f"{name}: ")


def sentence(text: str) -> str:
    """Return the text with a capital first letter."""
    return text[:1].upper() + text[1:]


def of_method(file: ProtoFile, full_name: str, parameters: list[tuple[str, str]]) -> str:
    """Return an rpc's comment and an Args section of (name, comment)."""
    text = file.source.doc(full_name) or f"{full_name.rpartition('.')[2]}."
    args = "".join(f"\n    {name}: {indented(doc, 8)}" for name, doc in parameters if doc)
    return f"{text}\n\nArgs:{args}"
