"""Comments of .proto files as Python docstrings."""

from comby.codegen.model import ProtoFile


def docstring(text: str) -> str:
    """Return the text so that it may stand between triple double quotes."""
    text = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'{text[:-1]}\\"' if text.endswith('"') and not text.endswith('\\"') else text


def without_subject(text: str, name: str) -> str:
    """Return "may be empty" for the comment "order_id may be empty" of the field order_id."""
    return text.removeprefix(f"{name} ").removeprefix(f"{name}: ")


def sentence(text: str) -> str:
    """Return the text with a capital first letter."""
    return text[:1].upper() + text[1:]


def of_method(file: ProtoFile, full_name: str, parameters: list[tuple[str, str]]) -> str:
    """Return an rpc's comment and an Args section of (name, comment)."""
    text = file.source.doc(full_name) or f"{full_name.rpartition('.')[2]}."
    lines = [f"{name}: {doc}".replace("\n", "\n        ") for name, doc in parameters if doc]
    args = "".join(f"\n    {line}" for line in lines)
    return f"{text}\n\nArgs:{args}"
