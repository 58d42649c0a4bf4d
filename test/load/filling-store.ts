// Run as a process of its own: fills a memory store many times over, and tells what that took.
import { Body } from '#core/cache/body.ts';
import { MemoryStore } from '#core/cache/memory.ts';
import { responseFacts } from '#core/cache/policy/response.ts';

const [budget = '', meanBytes = '', puts = ''] = process.argv.slice(2);
const READ_BYTES = 64 * 1024;

let state = 1;
const random = (): number => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  return (state >>> 8) / 2 ** 24;
};

/** As it comes from a socket: each piece a view on a larger buffer. */
function received(size: number): Body {
  const chunks: Buffer[] = [];
  for (let left = size; left > 0;) {
    const length = Math.min(left, Math.ceil(random() * READ_BYTES));
    chunks.push(Buffer.alloc(READ_BYTES, 1).subarray(0, length));
    left -= length;
  }
  return new Body(chunks);
}

const store = new MemoryStore(Number(budget));
const rss = (): number => process.memoryUsage().rss;
const before = rss();
let mostRss = 0;
let mostBytes = 0;
for (let i = 0; i < Number(puts); i++) {
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
  if (i % 200 === 0) {
    mostRss = Math.max(mostRss, rss());
    mostBytes = Math.max(mostBytes, store.volume().bytes);
    // Buffers are freed when the event loop turns.
    await new Promise((resolve) => void setImmediate(resolve));
  }
}
process.stdout.write(JSON.stringify({ grownBytes: mostRss - before, mostBytes }));
