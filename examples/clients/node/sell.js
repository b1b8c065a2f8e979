/** Places, pays and ships orders. It survives a restart of the server: every command has a request id. */
import { randomUUID } from 'node:crypto';

import { insist, until } from './calls.js';
import { reasonOf } from './errors.js';
import { acknowledged } from './output.js';

const PRICE_CENTS = 1250;
const STAGES = ['ACCEPTED', 'EXECUTED', 'PROJECTED'].map((name) => `COMMAND_STAGE_${name}`);

export async function sell(shop, customer, orders) {
  const add = { sku: customer, quantity: 2 * orders };
  const stock = acknowledged('add_stock', await insist(shop.stock, 'AddStock', add, { requestId: randomUUID() }));
  for (let number = 0; number < orders; number++) await sellOne(shop, customer, stock.aggregateId);
}

/** Place an order with the generic RPC, pay it and ship it; return the last receipt. */
export async function sellOne(shop, customer, stockId) {
  const line = { stockId, quantity: 2, unitPriceCents: PRICE_CENTS };
  const placed = acknowledged('place_order', await place(shop, { customerEmail: customer, lines: [line] }));
  const orderId = placed.aggregateId;

  const pay = { orderId, amountCents: 2 * PRICE_CENTS };
  acknowledged('pay_order', await insist(shop.orders, 'PayOrder', pay, { requestId: randomUUID() }));

  // The stock is reserved by a process of its own, a moment later. A refused command stays refused under its request id.
  const ship = { orderId, trackingCode: `NODE-${orderId.slice(0, 8)}` };
  const shipped = await until(
    () => insist(shop.orders, 'ShipOrder', ship, { requestId: randomUUID(), wait: 'projected' }),
    (error) => reasonOf(error) === 'NOT_RESERVED',
  );
  return acknowledged('ship_order', shipped);
}

/** Have a command accepted, and then wait until it is executed. */
async function place(shop, order) {
  const command = { '@type': 'type.googleapis.com/shop.order.v1.PlaceOrder', ...order };
  const request = { command, options: { requestId: randomUUID() } };
  const accepted = acknowledged('dispatch_command', await insist(shop.facade, 'DispatchCommand', request));
  return waitFor(shop, accepted.requestId, 'COMMAND_STAGE_EXECUTED');
}

/** Wait for a stage, over as many calls as it takes: the end of one wait is no error. */
export async function waitFor(shop, requestId, stage) {
  for (;;) {
    const receipt = await insist(shop.facade, 'WaitForCommand', { requestId, stage });
    if (receipt.error) throw new Error(`${requestId} is ${receipt.stage}: ${JSON.stringify(receipt.error)}`);
    if (STAGES.indexOf(receipt.stage) >= STAGES.indexOf(stage)) return receipt;
  }
}
