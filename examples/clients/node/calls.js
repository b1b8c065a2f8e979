/** Unary calls: once, or until the server answers. */
import { setTimeout as sleep } from 'node:timers/promises';

import grpc from '@grpc/grpc-js';

import { decodeError } from './errors.js';

const CALL_TIMEOUT_MS = 15_000; // one attempt
const PATIENCE_MS = 60_000; // longer than a server takes to start anew

const KEYS = {
  requestId: 'comby-request-id',
  wait: 'comby-wait',
  expectedVersion: 'comby-expected-version',
  consistency: 'comby-consistency-token',
};

/** Call once. `options` are what typed RPCs take as metadata. */
export function call(client, method, request, options = {}) {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(options)) metadata.set(KEYS[name], value);
  const deadline = Date.now() + CALL_TIMEOUT_MS;
  return new Promise((resolve, reject) => {
    client[method](request, metadata, { deadline }, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

/** Call until the server answers: a query, or a command with a request id, may be sent again, and takes effect once. */
export function insist(client, method, request, options = {}) {
  return until(() => call(client, method, request, options), mayRetry);
}

/** Repeat an attempt while `again` says so, doubling the pause. */
export async function until(attempt, again) {
  const deadline = Date.now() + PATIENCE_MS;
  for (let pause = 10; ; pause = Math.min(2 * pause, 1000)) {
    try {
      return await attempt();
    } catch (error) {
      if (!again(error) || Date.now() > deadline) throw error;
      await sleep(Math.max(pause, decodeError(error).retryAfterMs ?? 0));
    }
  }
}

function mayRetry(error) {
  switch (error.code) {
    case grpc.status.UNAVAILABLE:
    case grpc.status.DEADLINE_EXCEEDED:
      return true;
    case grpc.status.RESOURCE_EXHAUSTED: // without a delay it is a message too large, which stays too large
      return decodeError(error).retryAfterMs > 0;
    default:
      return false;
  }
}
