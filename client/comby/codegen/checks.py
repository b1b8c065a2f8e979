"""The rules of a contract, and what is said where one is broken.

Each check yields one line `file:line: what is wrong; what to do` for each place.
"""

import re
from collections import defaultdict
from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from comby.codegen.model import Contract, Declared, ProtoFile
from comby.codegen.options import AggregateKind, CommandKind, EventKind, QueryKind

RECEIPT = "comby.facade.v1.CommandReceipt"
DOMAIN_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
MAX_INDEXED = 8  # options.proto: AggregateOptions.indexed


def refusals(contract: Contract) -> list[str]:
    """Return a line for each rule that the files to generate break; none for a right contract."""
    lines: list[str] = []
    for file in contract.generated:
        lines += _domain(file, contract)
        for declared in file.declared:
            lines += _place(declared)
            if declared.file.domain is None:
                continue
            match declared.kind:
                case AggregateKind():
                    lines += _aggregate(declared, declared.kind)
                case CommandKind():
                    lines += _command_id(declared)
                    lines += _owner(declared, declared.kind.aggregate, contract)
                case EventKind():
                    lines += _owner(declared, declared.kind.aggregate, contract)
                case QueryKind():
                    pass
        for method in file.methods:
            lines += _method(file, method, contract)
    lines += _identifiers(contract)
    return lines


def _domain(file: ProtoFile, contract: Contract) -> Iterator[str]:
    name = file.domain
    if name is None:
        return
    if not DOMAIN_NAME.fullmatch(name):
        yield (
            f"{file.source.at_domain()}: the domain name {name!r} is not [A-Z][A-Za-z0-9]*; "
            "begin with a capital letter and use letters and digits only"
        )
    for other in contract.files:
        if other is file:
            return  # a pair is told once, at the later file
        if other.descriptor.package == file.descriptor.package and other.domain not in (None, name):
            yield (
                f"{file.source.at_domain()}: the package {file.descriptor.package} is the domain {other.domain} in "
                f"{other.descriptor.name} and {name} here; give every file of a package the same domain name"
            )


def _place(declared: Declared) -> Iterator[str]:
    message, word = declared.descriptor, declared.kind.word
    if declared.file.domain is None:
        yield (
            f"{declared.at}: the {word} {message.name} has no domain; "
            'add option (comby.options.v1.domain) = {name: "..."} to the file'
        )
    if message.containing_type is not None:
        yield f"{declared.at}: the {word} {message.name} is nested; move it to the top level of the file"
    kinds = [other.kind.word for other in declared.file.declared if other.descriptor is message]
    if len(kinds) > 1 and kinds[0] == word:
        yield f"{declared.at}: {message.name} is marked as {' and '.join(kinds)}; keep one of the options"


def _aggregate(declared: Declared, kind: AggregateKind) -> Iterator[str]:
    message = declared.descriptor
    if len(kind.indexed) > MAX_INDEXED:
        yield f"{declared.at}: {message.name} has {len(kind.indexed)} indexed fields; index at most {MAX_INDEXED}"
    for name in kind.indexed:
        field = message.fields_by_name.get(name)
        if field is None:
            yield f"{declared.at}: indexed names {name!r}, which is no field of {message.name}; name a field of it"
        elif field.is_repeated or field.message_type is not None or field.type == FieldDescriptor.TYPE_BYTES:
            yield (
                f"{declared.file.source.at(field.full_name)}: indexed names {name!r}, which is not a singular scalar; "
                "index singular numbers, strings, bools and enums only"
            )


def _command_id(declared: Declared) -> Iterator[str]:
    message, options = declared.descriptor, declared.file.options
    fields = [field for field in message.fields if options.is_aggregate_id(field)]
    if not fields:
        yield (
            f"{declared.at}: the command {message.name} has no aggregate id; "
            "mark its string field with [(comby.options.v1.aggregate_id) = true]"
        )
    if len(fields) > 1:
        names = " and ".join(field.name for field in fields)
        yield f"{declared.at}: the command {message.name} has several aggregate ids, {names}; mark one field only"
    for field in fields:
        if field.is_repeated or field.type != FieldDescriptor.TYPE_STRING:
            yield (
                f"{declared.file.source.at(field.full_name)}: the aggregate id {field.name} of {message.name} is no "
                "string; make it a singular string, which holds a UUID"
            )


def _owner(declared: Declared, named: str, contract: Contract) -> Iterator[str]:
    assert declared.file.domain is not None
    domain, word, name = declared.file.domain, declared.kind.word, declared.descriptor.name
    aggregates = sorted({aggregate.descriptor.name for aggregate in contract.aggregates(domain)})
    known = ", ".join(aggregates)
    if named and named not in aggregates:
        hint = f"name one of {known}" if aggregates else "add option (comby.options.v1.aggregate) = {} to its message"
        yield f"{declared.at}: the {word} {name} names the aggregate {named!r}, which {domain} does not have; {hint}"
    elif not aggregates:
        yield (
            f"{declared.at}: the {word} {name} has no aggregate, for the domain {domain} has none; "
            "mark the message of the state with option (comby.options.v1.aggregate) = {}"
        )
    elif not named and len(aggregates) > 1:
        yield (
            f"{declared.at}: the {word} {name} could belong to each of {known}; "
            f'add aggregate: "{aggregates[0]}" (or another) to its option'
        )


def _method(file: ProtoFile, method: MethodDescriptor, contract: Contract) -> Iterator[str]:
    at, message = file.source.at(method.full_name), method.input_type
    kind = contract.rpc_kind(message)
    if file.domain is None:
        if kind is not None:
            yield (
                f"{at}: rpc {method.name} takes the {kind.word} {message.name}, but its file has no domain; "
                'add option (comby.options.v1.domain) = {name: "..."} to the file'
            )
        return  # a service that is not comby's business
    if kind is None:
        yield (
            f"{at}: rpc {method.name} takes {message.name}, which is neither a command nor a query; "
            "add option (comby.options.v1.command) = {} or (comby.options.v1.query) = {} to it"
        )
    if method.client_streaming:
        yield (
            f"{at}: rpc {method.name} streams its requests; "
            "take one message (FacadeService.DispatchCommands pipelines many commands)"
        )
    if isinstance(kind, CommandKind):
        yield from _command_method(at, method)


def _command_method(at: str, method: MethodDescriptor) -> Iterator[str]:
    message = method.input_type
    if method.output_type.full_name != RECEIPT:
        yield (
            f"{at}: rpc {method.name} takes the command {message.name} and returns {method.output_type.full_name}; "
            f"return {RECEIPT}"
        )
    if method.server_streaming:
        yield f"{at}: rpc {method.name} takes the command {message.name} and streams its answer; drop `stream`"
    if method.name != message.name:
        yield (
            f"{at}: rpc {method.name} takes the command {message.name}; "
            f"name it {message.name}, as every command's rpc has its message's name"
        )


def _identifiers(contract: Contract) -> Iterator[str]:
    """Refuse an identifier with two owners; an event's aliases are identifiers too."""
    owners: defaultdict[str, list[Declared]] = defaultdict(list)
    for declared in contract.declared:
        if declared.file.domain is None:
            continue
        owners[declared.identifier].append(declared)
        if isinstance(declared.kind, EventKind):
            for alias in dict.fromkeys(declared.kind.aliases):
                owners[alias].append(declared)
    for identifier, claims in owners.items():
        first, *others = {claim.descriptor.full_name: claim for claim in claims}.values()
        for other in others:
            if first.file.generate or other.file.generate:
                yield (
                    f"{other.at}: {identifier} is claimed by {other.descriptor.full_name} and, at {first.at}, by "
                    f"{first.descriptor.full_name}; rename one of them, or drop the alias"
                )
