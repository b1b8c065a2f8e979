/**
 * A subscriber's file, a JSON object a line: the log first, then what was handled, and how far.
 * A line is the effect and the position in one write, so an event is handled once, whenever the process is killed.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';

export class Journal {
  /** Read what was handled before, and cut off a last line that was not written to its end. */
  constructor(path) {
    this.file = openSync(path, 'a+');
    this.log = null;
    this.position = 0n;
    const content = readFileSync(path);
    const whole = content.lastIndexOf('\n') + 1;
    for (const line of content.subarray(0, whole).toString().split('\n').filter(Boolean)) {
      const entry = JSON.parse(line);
      if (entry.log_id) this.log = { logId: entry.log_id, incarnation: entry.incarnation };
      if (BigInt(entry.position) > this.position) this.position = BigInt(entry.position);
    }
    ftruncateSync(this.file, whole);
  }

  began(log) {
    this.#append({ log_id: log.logId, incarnation: log.incarnation, position: 0 });
  }

  handled(event) {
    this.#append({
      position: Number(event.position),
      type: event.type,
      aggregate_id: event.aggregateId,
      version: Number(event.version),
    });
  }

  moved(position) {
    this.#append({ position: Number(position) });
  }

  close() {
    closeSync(this.file);
  }

  #append(entry) {
    writeSync(this.file, `${JSON.stringify(entry)}\n`);
  }
}
