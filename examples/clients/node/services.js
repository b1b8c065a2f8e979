/** The services of comby and the shop, from their .proto files; nothing is generated. */
import { fileURLToPath } from 'node:url';

import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

export const PROTOS = fileURLToPath(new URL('protos', import.meta.url));

/** Numbers of 64 bits are strings, a oneof is a field that names its member, and an Any is {'@type': …, fields}. */
export const CONVERSION = { longs: String, enums: String, defaults: true, arrays: true, oneofs: true, json: true };

const definition = loadSync(
  [
    'comby/facade/v1/facade_service.proto',
    'google/rpc/error_details.proto',
    'shop/order/v1/order.proto',
    'shop/stock/v1/stock.proto',
  ],
  { includeDirs: [PROTOS], ...CONVERSION },
);
const { comby, shop } = grpc.loadPackageDefinition(definition);

/** Return the services on a server; the connection is made at the first call, and again whenever it is lost. */
export function connect(target) {
  const credentials = grpc.credentials.createInsecure();
  const options = {
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2_000,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
  };
  const facade = new comby.facade.v1.FacadeService(target, credentials, options);
  const shared = { ...options, channelOverride: facade.getChannel() };
  return {
    facade,
    orders: new shop.order.v1.OrderService(target, credentials, shared),
    stock: new shop.stock.v1.StockService(target, credentials, shared),
    close: () => facade.close(),
  };
}
