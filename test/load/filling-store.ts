// Run as a process of its own, with --expose-gc: fills a memory store many times over, and tells
// what that took.
import { Body } from '#core/cache/body.ts';
import { MemoryStore } from '#core/cache/memory.ts';
import { responseFacts } from '#core/cache/policy/response.ts';

const [budget = '', meanBytes = '', puts = ''] = process.argv.slice(2);
const READ_BYTES = 64 * 1024;
/** Received between two collections while the store's own memory is measured. */
const GARBAGE_BYTES = 16 * 1024 * 1024;
const collect = globalThis.gc;
if (collect === undefined) throw new Error('Run it with --expose-gc');

let state = 1;
const random = (): number => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  return (state >>> 8) / 2 ** 24;
};

let receivedBytes = 0;
/** As it comes from a socket: each piece a view on a larger buffer. */
function received(size: number): Body {
  const chunks: Buffer[] = [];
  for (let left = size; left > 0;) {
    const length = Math.min(left, Math.ceil(random() * READ_BYTES));
    chunks.push(Buffer.alloc(READ_BYTES, 1).subarray(0, length));
    receivedBytes += READ_BYTES;
    left -= length;
  }
  return new Body(chunks);
}

const store = new MemoryStore(Number(budget));
let mostBytes = 0;

function put(i: number): void {
  const size = Math.ceil(-Math.log(1 - random()) * Number(meanBytes));
  const names = ['ETag', `"${i}"`, 'Content-Type', 'text/html', 'Cache-Tag', `a${i},b${i}`];
  const fields = [...names, 'Last-Modified', new Date(i * 1000).toUTCString()];
  store.put({
    key: `site http://www.example.org/some/path/of/an/object/${i}`,
    site: 'site',
    selector: '',
    fields,
    facts: responseFacts(200, fields, 0),
    body: received(size),
    initialAgeMs: 0,
    receivedAt: 0,
    asOf: 0,
    softPurgedAt: undefined,
  });
  store.lookup(`site http://www.example.org/some/path/of/an/object/${Math.floor(random() * i)}`);
  mostBytes = Math.max(mostBytes, store.volume().bytes);
}

/** @returns the most that the process took more than at first, bytes */
async function fill(from: number, garbageBytes: number): Promise<number> {
  let mostRss = 0;
  for (let i = from; i < from + Number(puts); i++) {
    put(i);
    // Buffers are freed when the event loop turns.
    if (i % 100 === 0) await new Promise((resolve) => void setImmediate(resolve));
    if (receivedBytes > garbageBytes) {
      await collect?.({ type: 'major', execution: 'async' });
      receivedBytes = 0;
    }
    if (i % 100 === 0) mostRss = Math.max(mostRss, process.memoryUsage.rss());
  }
  return mostRss - before;
}

const before = process.memoryUsage.rss();
const keptBytes = await fill(0, GARBAGE_BYTES);
const grownBytes = await fill(Number(puts), Infinity);
process.stdout.write(JSON.stringify({ keptBytes, grownBytes, mostBytes }));
