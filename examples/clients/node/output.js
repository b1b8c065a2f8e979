/** Lines for people and scripts. */

/** Write one JSON object as a line. */
export function print(line) {
  console.log(JSON.stringify(line));
}

/** Print what a receipt says, and return it. */
export function acknowledged(did, receipt) {
  print({
    did,
    request_id: receipt.requestId,
    aggregate_id: receipt.aggregateId,
    version: Number(receipt.aggregateVersion),
    stage: receipt.stage,
    event_ids: receipt.eventIds,
    token: receipt.consistencyToken,
  });
  return receipt;
}

/** Print an event, its message included. */
export function printEvent(did, event) {
  print({
    did,
    position: Number(event.position),
    event_id: event.eventId,
    type: event.type,
    aggregate_id: event.aggregateId,
    version: Number(event.version),
    event: event.plain,
  });
}
