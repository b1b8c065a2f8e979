#!/usr/bin/env node
/**
 * A Node client of comby: the shop example over plain gRPC, without a line of glue.
 *
 *   node main.js sell     --target HOST:PORT --orders 10     places, pays and ships orders
 *   node main.js tour     --target HOST:PORT                 waits, queries, errors, and a stream that is resumed
 *   node main.js follow   --target HOST:PORT --journal FILE  handles every event once, however often it is ended
 *   node main.js overload --target HOST:PORT --streams 2     opens streams until the server refuses one
 *
 * It prints one JSON object a line.
 */
import { parseArgs } from 'node:util';

import { decodeError } from './errors.js';
import { follow } from './follow.js';
import { overload } from './overload.js';
import { print } from './output.js';
import { sell } from './sell.js';
import { connect } from './services.js';
import { tour } from './tour.js';

const LOG_REPLACED_EXIT = 3; // tells a script apart from other failures that the journal is of another log

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    target: { type: 'string', default: '127.0.0.1:50051' },
    orders: { type: 'string', default: '3' },
    customer: { type: 'string', default: 'node@shop.example' },
    journal: { type: 'string', multiple: true, default: [] },
    type: { type: 'string', multiple: true, default: [] },
    'break-every': { type: 'string', default: '0' },
    streams: { type: 'string', default: '2' },
  },
});

const actions = {
  sell: (shop) => sell(shop, values.customer, Number(values.orders)),
  tour: (shop) => tour(shop, values.customer),
  follow: (shop) => follow(shop, values.journal, values.type, Number(values['break-every'])),
  overload: (shop) => overload(shop, Number(values.streams)),
};

const action = actions[positionals[0]];
if (action === undefined) {
  console.error(`name what to do: ${Object.keys(actions).join(', ')}`);
  process.exit(1);
}
const shop = connect(values.target);
try {
  await action(shop);
} catch (error) {
  print({ did: 'fail', error: decodeError(error) });
  process.exitCode = decodeError(error).reason === 'LOG_REPLACED' ? LOG_REPLACED_EXIT : 1;
} finally {
  shop.close();
}
