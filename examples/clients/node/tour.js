/** Shows, on one order of its own, every kind of answer that a caller meets. */
import { randomUUID } from 'node:crypto';

import { call } from './calls.js';
import { decodeError } from './errors.js';
import { acknowledged, print, printEvent } from './output.js';
import { sellOne, waitFor } from './sell.js';
import { BREAK, DONE, Subscription } from './subscription.js';

export async function tour(shop, customer) {
  const add = { sku: customer, quantity: 10 };
  const stock = acknowledged('add_stock', await call(shop.stock, 'AddStock', add, { requestId: randomUUID() }));
  const shipped = await sellOne(shop, customer, stock.aggregateId);
  await waits(shop, customer);
  await queries(shop, customer, shipped);
  await refusals(shop, shipped);
  await resumes(shop, shipped);
}

/** Wait for a command that is finished already, and send it again: both answer what happened then. */
async function waits(shop, customer) {
  const add = { sku: `${customer} again`, quantity: 1 };
  const requestId = randomUUID();
  acknowledged('accept', await call(shop.stock, 'AddStock', add, { requestId, wait: 'accepted' }));
  acknowledged('wait_for_command', await waitFor(shop, requestId, 'COMMAND_STAGE_PROJECTED'));
  acknowledged('send_again', await call(shop.stock, 'AddStock', add, { requestId }));
}

/** Read what was just written: the token makes the answers cover the last command. */
async function queries(shop, customer, last) {
  const consistency = last.consistencyToken;
  const get = { orderId: last.aggregateId };
  print({ did: 'get_order', order: await call(shop.orders, 'GetOrder', get, { consistency }) });
  const page = await call(shop.orders, 'ListOrders', { customerEmail: customer }, { consistency });
  print({ did: 'list_orders', page });
  const query = { '@type': 'type.googleapis.com/shop.order.v1.GetOrder', ...get };
  const answer = await call(shop.facade, 'DispatchQuery', { query, consistencyToken: consistency });
  print({ did: 'dispatch_query', response: answer.response });
}

/** Show errors and their details. */
async function refusals(shop, last) {
  const orderId = last.aggregateId;
  const ship = { orderId, trackingCode: 'again' };
  const wrong = [
    ['rule', 'PayOrder', { orderId, amountCents: 1 }],
    ['fields', 'PlaceOrder', { customerEmail: 'nobody' }],
    ['missing', 'GetOrder', { orderId: randomUUID() }],
    ['version', 'ShipOrder', ship, { expectedVersion: '1' }],
    ['request_id', 'ShipOrder', ship, { requestId: last.requestId }],
    ['metadata', 'ShipOrder', ship, { wait: 'forever' }],
  ];
  for (const [what, method, request, options] of wrong) {
    await refused(what, call(shop.orders, method, request, options));
  }
}

/** Handle the events of one order, break the stream after each, and go on after the last one handled. */
async function resumes(shop, last) {
  const subscription = new Subscription(shop.facade, {
    filter: { domains: ['Order'], aggregateId: last.aggregateId },
    handle: (event) => {
      printEvent('handle', event);
      return event.version === last.aggregateVersion ? DONE : BREAK;
    },
  });
  await subscription.run();

  // A position is worth nothing in another log: the server refuses it, and never leaves out events in silence.
  subscription.log = { logId: randomUUID(), incarnation: randomUUID() };
  await refused('log', subscription.run());
}

async function refused(what, promise) {
  try {
    await promise;
  } catch (error) {
    print({ did: 'refused', what, error: decodeError(error) });
    return;
  }
  throw new Error(`${what} was not refused`);
}
