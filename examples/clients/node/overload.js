/** Opens streams and keeps them open, and shows how the server refuses one too many. */
import { once } from 'node:events';

import { decodeError } from './errors.js';
import { print } from './output.js';

export async function overload(shop, streams) {
  const open = [];
  try {
    for (let number = 1; number <= streams; number++) {
      const stream = shop.facade.SubscribeEvents({ fromHead: true });
      open.push(stream);
      await once(stream, 'data'); // rejects when the stream ends by an error
      stream.on('error', () => {});
      print({ did: 'open_stream', number });
    }
  } catch (error) {
    print({ did: 'refused', what: 'stream', number: open.length, error: decodeError(error) });
  } finally {
    for (const stream of open) stream.cancel();
  }
}
