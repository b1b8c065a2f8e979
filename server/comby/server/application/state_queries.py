"""Answers `StateQueries` from the read model that every aggregate has: get, list and watch without code in the
domain."""

from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from comby.server.application.contract import AggregateType, descriptor_of, methods_of, services_of
from comby.server.application.refusals import RegistrationRefused
from comby.server.domain.query import QueryContext, QueryHandlers, StateQueries

PAGING = frozenset({"page_size", "page_token", "order_by", "descending"})


class StateQueryHandlers(QueryHandlers):
    """The handlers that a StateQueries stands for."""

    def __init__(self, spec: StateQueries, aggregate: AggregateType) -> None:
        self._cls = spec.aggregate
        self._aggregate = aggregate
        handlers: dict[type[Message], Any] = {}
        if spec.get is not None:
            handlers[spec.get] = self._get(_id_field(descriptor_of(spec.get)))
        if spec.watch is not None:
            handlers[spec.watch] = self._watch(_id_field(descriptor_of(spec.watch)))
        if spec.list is not None:
            handlers[spec.list] = self._list(descriptor_of(spec.list))
        self.handlers = handlers  # type: ignore[misc]

    def _get(self, field: str) -> Any:
        async def get_state(query: Message, context: QueryContext) -> Message:
            state: Message = (await context.state(self._cls, getattr(query, field))).state
            return state

        return get_state

    def _watch(self, field: str) -> Any:
        async def watch_state(query: Message, context: QueryContext) -> AsyncIterator[Message]:
            async for versioned in context.watch(self._cls, getattr(query, field)):
                yield versioned.state

        return watch_state

    def _list(self, query_type: Descriptor) -> Any:
        answer, states = self._answer_of(query_type)
        fields = {field.name: field for field in query_type.fields}
        for name in fields:
            if name not in PAGING and name not in self._aggregate.indexed:
                raise RegistrationRefused(
                    f"{query_type.full_name}: {name} is no indexed field of {self._aggregate.identifier}"
                )

        async def list_states(query: Any, context: QueryContext) -> Message:
            asked = {name: getattr(query, name) for name in fields if name not in PAGING}
            page = await context.states(
                self._cls,
                filter={name: value for name, value in asked.items() if value != fields[name].default_value},
                order_by=getattr(query, "order_by", "") or None,
                descending=getattr(query, "descending", False),
                page_size=getattr(query, "page_size", 0),
                page_token=getattr(query, "page_token", ""),
            )
            return answer(**{states: page.rows, "next_page_token": page.next_page_token})

        return list_states

    def _answer_of(self, query: Descriptor) -> tuple[type[Message], str]:
        """Find the message that answers a list, and its field of states, in the service that serves the query."""
        for service in services_of(query.file):
            for method in methods_of(service):
                if method.input_type is query or method.input_type.full_name == query.full_name:
                    answer = method.output_type
                    fits = [
                        field.name
                        for field in answer.fields
                        if _is_list_of(field, descriptor_of(self._aggregate.state))
                    ]
                    if len(fits) == 1 and "next_page_token" in answer.fields_by_name:
                        return GetMessageClass(answer), fits[0]
        raise RegistrationRefused(
            f"{query.full_name} needs an rpc that answers one repeated field of "
            f"{descriptor_of(self._aggregate.state).name} and a next_page_token"
        )


def _is_list_of(field: FieldDescriptor, state: Descriptor) -> bool:
    return bool(
        field.is_repeated and field.message_type is not None and field.message_type.full_name == state.full_name
    )


def _id_field(query: Descriptor) -> str:
    """Return the query's one string field."""
    strings = [
        field.name for field in query.fields if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated
    ]
    if len(strings) != 1:
        raise RegistrationRefused(f"{query.full_name} needs exactly one string field, the aggregate's id")
    return strings[0]
