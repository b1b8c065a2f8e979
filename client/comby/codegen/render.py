"""Write a file's types and client from the templates beside this module."""

from dataclasses import dataclass

import jinja2
from google.protobuf.descriptor import EnumDescriptor, MethodDescriptor, ServiceDescriptor

from comby.codegen import docs
from comby.codegen.model import Contract, ProtoFile
from comby.codegen.options import CommandKind
from comby.codegen.python_types import COMMAND_OPTIONS, QUERY_OPTIONS, Imports, Parameter, parameter, safe, snake

REASON_SUFFIX = "ErrorReason"

_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("comby.codegen"),
    autoescape=False,  # Python, not HTML
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
)
_templates.filters["docstring"] = docs.docstring


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A member of a reason enum."""

    name: str
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasons:
    """A StrEnum made of a domain's error reasons."""

    name: str
    doc: str
    values: list[Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method of a client."""

    name: str
    path: str
    doc: str
    command: bool
    stream: bool
    message: str
    answer: str
    parameters: list[Parameter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client class of a service."""

    name: str
    doc: str
    methods: list[Method]


def render_types(file: ProtoFile, contract: Contract) -> str | None:
    """Return the text of <stem>_types.py; None for a file without reasons and events."""
    imports = Imports()
    enums = file.descriptor.enum_types_by_name.values()
    reasons = [_reasons(file, enum) for enum in enums if enum.name.endswith(REASON_SUFFIX)]
    events = contract.package_events(file.descriptor.package) if file.events() else []
    if file.domain is None or not (reasons or events):
        return None
    return _templates.get_template("types.py.jinja").render(
        source=file.descriptor.name,
        domain=file.domain,
        reasons=reasons,
        events=[imports.type(event.descriptor) for event in events],
        imports=imports.lines(),
    )


def render_client(file: ProtoFile, contract: Contract) -> str | None:
    """Return the text of <stem>_client.py; None for a file without a service of a domain."""
    if file.domain is None or not file.descriptor.services_by_name:
        return None
    imports = Imports()
    clients = [_client(file, service, contract, imports) for service in file.descriptor.services_by_name.values()]
    text = "".join(p.annotation for client in clients for method in client.methods for p in method.parameters)
    methods = [method for client in clients for method in client.methods]
    return _templates.get_template("client.py.jinja").render(
        source=file.descriptor.name,
        domain=file.domain,
        clients=clients,
        imports=imports.lines(),
        keywords=any(p.is_keyword for method in methods for p in method.parameters),
        commands=any(method.command for method in methods),
        collections=[
            name
            for name, used in (
                ("AsyncIterator", any(method.stream for method in methods)),
                ("Iterable", "Iterable[" in text),
                ("Mapping", "Mapping[" in text),
            )
            if used
        ],
    )


def _reasons(file: ProtoFile, enum: EnumDescriptor) -> Reasons:
    prefix = f"{snake(enum.name).upper()}_"
    return Reasons(
        name=enum.name.removesuffix(REASON_SUFFIX) + "Reason",
        doc=file.source.doc(enum.full_name) or f"The reasons of {enum.name}.",
        values=[
            Value(
                name=value.name.removeprefix(prefix),
                doc=docs.sentence(docs.without_subject(file.source.doc(f"{enum.full_name}.{value.name}"), value.name)),
            )
            for value in enum.values
            if value.number
        ],
    )


def _client(file: ProtoFile, service: ServiceDescriptor, contract: Contract, imports: Imports) -> Client:
    return Client(
        name=service.name.removesuffix("Service") + "Client",
        doc=file.source.doc(service.full_name) or f"Calls {service.full_name}.",
        methods=[_method(file, method, contract, imports) for method in service.methods],
    )


def _method(file: ProtoFile, method: MethodDescriptor, contract: Contract, imports: Imports) -> Method:
    message = method.input_type
    command = isinstance(contract.rpc_kind(message), CommandKind)
    taken = COMMAND_OPTIONS if command else QUERY_OPTIONS
    parameters = [parameter(field, imports, taken) for field in message.fields]
    declaring = next(other for other in contract.files if other.descriptor.name == message.file.name)
    field_docs = [
        (p.name, docs.without_subject(declaring.source.doc(p.field.full_name), p.field.name)) for p in parameters
    ]
    assert method.containing_service is not None
    return Method(
        name=safe(snake(method.name)),
        path=f"/{method.containing_service.full_name}/{method.name}",
        doc=docs.of_method(
            file, method.full_name, [("message", "the ready message, instead of its fields."), *field_docs]
        ),
        command=command,
        stream=method.server_streaming,
        message=imports.type(message),
        answer="Receipt" if command else imports.type(method.output_type),
        parameters=parameters,
    )
