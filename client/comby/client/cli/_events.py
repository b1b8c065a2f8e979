"""`comby events`: see what happens."""

import json
from typing import Annotated

import typer
from google.protobuf.message import Message

from comby.client import Recorded, Subscription
from comby.client._wire import packed
from comby.client.cli._session import Session, command
from comby.facade.v1 import event_pb2

app = typer.Typer(no_args_is_help=True, help="See what happens.")


@app.callback()
def events() -> None:
    """See what happens."""  # a group even with one command


@command(app, "tail")
async def tail(
    session: Session,
    after: Annotated[int | None, typer.Option(min=0, help="Begin after this position; 0 is the beginning.")] = None,
    from_head: Annotated[bool, typer.Option("--from-head", help="Begin now; without, at the beginning.")] = False,
    type: Annotated[list[str] | None, typer.Option(help='Only this "Domain.MessageName"; may be repeated.')] = None,
    limit: Annotated[int, typer.Option(min=0, help="End after so many events; 0 is never.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print every event, history first, then as they are recorded, until interrupted."""
    if after is not None and from_head:
        raise ValueError("give --after or --from-head, not both")
    request = event_pb2.SubscribeEventsRequest(filter=event_pb2.EventFilter(types=type or ()))
    if from_head:
        request.from_head = True
    else:
        request.after = after or 0
    events: Subscription[Message] = Subscription(
        session.connection, request, types={}, heartbeat=5.0, on_status=None, tenant_id=None
    )
    count = 0
    async with events:
        async for recorded in events:
            typer.echo(await _line(session, recorded, as_json))
            count += 1
            if count == limit:
                return


async def _line(session: Session, recorded: Recorded[Message], as_json: bool) -> str:
    value = await session.printer.value(packed(recorded.event))
    payload = {key: item for key, item in value.items() if key != "@type"}  # it stands in `type`
    moment = recorded.recorded_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if not as_json:
        text = json.dumps(payload, ensure_ascii=False)
        return f"{recorded.position}  {moment}  {recorded.type}  {recorded.aggregate_id} v{recorded.version}  {text}"
    line: dict[str, object] = {
        "position": recorded.position,
        "eventId": recorded.event_id,
        "type": recorded.type,
        "domain": recorded.domain,
        "aggregateId": recorded.aggregate_id,
        "version": recorded.version,
        "revision": recorded.revision,
        "recordedAt": moment,
        "requestId": recorded.request_id,
        "tenantId": recorded.context.tenant_id,
        "actorId": recorded.context.actor_id,
        "correlationId": recorded.context.correlation_id,
        "causationId": recorded.context.causation_id,
        "event": payload,
    }
    return json.dumps(line, ensure_ascii=False)
