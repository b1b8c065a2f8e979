/** Runs one subscriber for each journal until the process is ended or killed. */
import { Journal } from './journal.js';
import { print } from './output.js';
import { BREAK, Subscription } from './subscription.js';

export async function follow(shop, journals, types, breakEvery) {
  if (journals.length === 0) throw new Error('follow needs at least one --journal');
  await Promise.all(journals.map((path) => followOne(shop, path, types, breakEvery)));
}

async function followOne(shop, path, types, breakEvery) {
  const journal = new Journal(path);
  print({ did: 'follow', journal: path, after: Number(journal.position) });
  let untilBreak = breakAfter(breakEvery);
  const subscription = new Subscription(shop.facade, {
    filter: { types },
    position: journal.position,
    log: journal.log,
    began: (log) => journal.began(log),
    moved: (position) => journal.moved(position),
    handle: (event) => {
      journal.handled(event);
      untilBreak -= 1;
      if (untilBreak > 0) return undefined;
      untilBreak = breakAfter(breakEvery);
      return BREAK;
    },
  });
  try {
    await subscription.run();
  } finally {
    journal.close();
  }
}

/** Return after how many events to break the stream next. */
function breakAfter(most) {
  return most <= 0 ? Infinity : 1 + Math.floor(Math.random() * most);
}
