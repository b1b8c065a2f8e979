/** What an error of comby says. Decide by `reason`; nobody parses the text. */
import path from 'node:path';

import grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';

import { CONVERSION, PROTOS } from './services.js';

const root = new protobuf.Root();
root.resolvePath = (_, file) => path.join(PROTOS, file);
root.loadSync(['google/rpc/status.proto', 'google/rpc/error_details.proto', 'comby/facade/v1/command.proto']);
const Status = root.lookupType('google.rpc.Status');

/** Read the status of a call, and its details. */
export function decodeError(error) {
  const decoded = { code: grpc.status[error.code] ?? 'UNKNOWN', message: error.details ?? String(error) };
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  for (const detail of bytes ? Status.toObject(Status.decode(bytes), CONVERSION).details : []) {
    switch (detail['@type'].split('/').at(-1)) {
      case 'google.rpc.ErrorInfo':
        Object.assign(decoded, { reason: detail.reason, domain: detail.domain, metadata: detail.metadata });
        break;
      case 'google.rpc.BadRequest':
        decoded.violations = detail.fieldViolations.map(({ field, reason, description }) => ({ field, reason, description }));
        break;
      case 'google.rpc.RetryInfo':
        decoded.retryAfterMs = Number(detail.retryDelay.seconds) * 1000 + detail.retryDelay.nanos / 1e6;
        break;
      case 'comby.facade.v1.CommandReceipt':
        decoded.stage = detail.stage; // of a command that was refused
        break;
    }
  }
  return decoded;
}

/** Return the machine-readable reason of an error; undefined where the error is not comby's. */
export function reasonOf(error) {
  return decodeError(error).reason;
}
