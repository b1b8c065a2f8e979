/** A stream of events that goes on by itself after the last handled position. */
import { setTimeout as sleep } from 'node:timers/promises';

import grpc from '@grpc/grpc-js';

import { decodeError } from './errors.js';
import { print } from './output.js';

const HEARTBEAT_S = 1;
const SILENCE_MS = 5 * HEARTBEAT_S * 1000; // a stream that is silent for so long is dead, even where the connection does not say so

/** A handler returns one of these to break the stream, which then goes on after the event, or to end the subscription. */
export const BREAK = Symbol('break');
export const DONE = Symbol('done');

/** A broken connection has many faces; a refusal has one of these. */
const FINAL = new Set(
  [
    'INVALID_ARGUMENT',
    'UNAUTHENTICATED',
    'PERMISSION_DENIED',
    'UNIMPLEMENTED',
    'NOT_FOUND',
    'ALREADY_EXISTS',
    'FAILED_PRECONDITION',
    'OUT_OF_RANGE',
    'DATA_LOSS',
  ].map((name) => grpc.status[name]),
);

export class Subscription {
  /**
   * `position` is the last handled one, and `log` the log that it is of. `handle` handles one event, and the position moves once it
   * has returned; `began` is told the log before its first event; `moved` a position that moved over events which the filter left out.
   */
  constructor(facade, { filter = {}, position = 0n, log = null, handle, began = () => {}, moved = () => {} }) {
    Object.assign(this, { facade, filter, position, log, handle, began, moved });
  }

  /** Follow the log until a handler is done or throws, or the server refuses for good, as with LOG_REPLACED. */
  async run() {
    this.failures = 0;
    for (;;) {
      try {
        const end = await this.#stream();
        if (end === DONE) return;
        print({ did: 'break_stream', position: Number(this.position) });
      } catch (error) {
        if (error.code === undefined || FINAL.has(error.code)) throw error;
        print({ did: 'lose_stream', position: Number(this.position), error: decodeError(error) });
        this.failures += 1;
        await sleep(Math.min(2000, 50 * 2 ** this.failures));
      }
    }
  }

  /** Open one stream and read it until it ends: by a handler's wish, which is returned, or by an error. */
  async #stream() {
    const stream = this.facade.SubscribeEvents({
      after: this.position.toString(),
      filter: this.filter,
      heartbeat: { seconds: HEARTBEAT_S },
      log: this.log,
    });
    stream.on('error', () => {}); // one that comes after the loop is no news
    const watchdog = setTimeout(() => stream.cancel(), SILENCE_MS);
    try {
      for await (const response of stream) {
        this.failures = 0;
        const end = this.#take(response);
        if (end !== undefined) return end;
        watchdog.refresh();
      }
      throw lost('the server ended the subscription');
    } finally {
      clearTimeout(watchdog);
      stream.cancel();
    }
  }

  #take(response) {
    switch (response.message) {
      case 'confirmed':
        if (this.log === null) this.began(response.confirmed.log);
        this.log = response.confirmed.log;
        return undefined;
      case 'events':
        return this.#handleAll(response.events.events);
      case 'caughtUp':
        return this.#move(response.caughtUp.position);
      case 'checkpoint':
        return this.#move(response.checkpoint.position);
      case 'goodbye':
        this.#move(response.goodbye.resumeAfter);
        throw lost(response.goodbye.reason);
      default:
        return undefined; // a message of a newer server
    }
  }

  #handleAll(events) {
    for (const event of events) {
      const end = this.handle(event);
      this.position = BigInt(event.position);
      if (end !== undefined) return end;
    }
    return undefined;
  }

  #move(to) {
    const position = BigInt(to);
    if (position <= this.position) return;
    this.position = position;
    this.moved(position);
  }
}

function lost(details) {
  return Object.assign(new Error(details), { code: grpc.status.UNAVAILABLE, details });
}
