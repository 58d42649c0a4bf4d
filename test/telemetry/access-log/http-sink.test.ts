import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HttpSink } from '#core/telemetry/access-log/http-sink.ts';
import { LogCounts } from '#core/telemetry/access-log/sink.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { until } from '#test/scenario/kit/until.ts';

interface Post {
  readonly incoming: IncomingMessage;
  readonly lines: string;
  answer(status: number, fields?: Record<string, string>): void;
  cut(): void;
}

let server: Server;
let posts: Post[];
let url: string;
beforeEach(async () => {
  posts = [];
  server = createServer((incoming: IncomingMessage, outgoing: ServerResponse) => {
    void buffer(incoming).then((content) =>
      posts.push({
        incoming,
        lines: gunzipSync(content).toString(),
        answer: (status, fields = {}) => void outgoing.writeHead(status, fields).end(),
        cut: () => void incoming.socket.destroy(),
      }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/logs?from=edge`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

function opened(of: { bufferBytes?: number; url?: string; authorization?: string } = {}) {
  const clock = new FakeClock();
  const counts = new LogCounts();
  const said: string[] = [];
  const log = {
    warn: (_: object, message: string) => void said.push(message),
    info: (_: object, message: string) => void said.push(message),
  };
  const sink = new HttpSink({
    url,
    authorization: undefined,
    bufferBytes: 16 * 1024 ** 2,
    clock,
    counts,
    log,
    random: () => 1,
    ...of,
  });
  const write = (line: string): Promise<void> => sink.write(Buffer.from(`${line}\n`), 1);
  return { sink, clock, counts, said, write };
}

/** The next post, once it has come. */
async function nextPost(): Promise<Post> {
  await until(() => posts.length > 0);
  return posts.shift() as Post;
}

test('lines of a second are one batch, packed, with its key and the secret', async () => {
  const { sink, clock, counts, write } = opened({ authorization: 'Bearer abc' });
  await write('a');
  await write('b');
  clock.advance('1s');
  const post = await nextPost();
  expect(post.lines).toBe('a\nb\n');
  expect(post.incoming.method).toBe('POST');
  expect(post.incoming.url).toBe('/logs?from=edge');
  expect(post.incoming.headers).toMatchObject({
    authorization: 'Bearer abc',
    'content-type': 'application/x-ndjson',
    'content-encoding': 'gzip',
    'idempotency-key': expect.stringMatching(/^"[0-9a-f-]{36}"$/) as unknown,
  });
  post.answer(204);
  await until(() => counts.records === 2);
  expect(counts).toMatchObject({ bytes: 4, failed: 0, retries: 0 });
  await sink.close(1000);
});

test('a large batch is not waited for; the next is sent when the one before is taken', async () => {
  const { sink, counts, write } = opened();
  const large = 'x'.repeat(600_000);
  await write(`1${large}`);
  await write(`2${large}`);
  const first = await nextPost();
  expect(first.lines[0]).toBe('1');
  expect(posts).toEqual([]);
  first.answer(200);
  const second = await nextPost();
  expect(second.lines[0]).toBe('2');
  second.answer(200);
  await until(() => counts.records === 2);
  await sink.close(1000);
});

test.each<[string, (post: Post) => void]>([
  ['a status of the server', (post) => post.answer(503)],
  ['too many requests', (post) => post.answer(429)],
  ['a connection that breaks', (post) => post.cut()],
])('%s: the same batch again, ever later, until it is taken', async (_title, fail) => {
  const { sink, clock, counts, said, write } = opened();
  await write('a');
  clock.advance('1s');
  const keys = new Set<unknown>();
  for (const pause of ['500ms', '1000ms', '2000ms'] as const) {
    const post = await nextPost();
    keys.add(post.incoming.headers['idempotency-key']);
    expect(post.lines).toBe('a\n');
    fail(post);
    const { retries } = counts;
    await until(() => {
      clock.advance(pause);
      return counts.retries > retries;
    });
  }
  (await nextPost()).answer(200);
  await until(() => counts.records === 1);
  expect(counts).toMatchObject({ failed: 0, retries: 3 });
  expect(keys.size).toBe(1);
  expect(said).toEqual([
    'The access log is not taken; it is kept for now',
    'The access log is taken again',
  ]);
  await sink.close(1000);
});

test('as late as the receiver wants', async () => {
  const { sink, clock, counts, write } = opened();
  await write('a');
  clock.advance('1s');
  (await nextPost()).answer(503, { 'Retry-After': '20' });
  await until(() => clock.pending > 0);
  clock.advance('19s');
  expect(counts.retries).toBe(0);
  clock.advance('1s');
  (await nextPost()).answer(200);
  await until(() => counts.records === 1);
  await sink.close(1000);
});

test('what the receiver refuses is counted, and the next batch is sent', async () => {
  const { sink, clock, counts, said, write } = opened();
  await write('a');
  clock.advance('1s');
  (await nextPost()).answer(400);
  await until(() => counts.failed === 1);
  expect(said).toEqual(['The access log is refused']);
  await write('b');
  clock.advance('1s');
  const post = await nextPost();
  expect(post.lines).toBe('b\n');
  post.answer(200);
  await until(() => counts.records === 1);
  await sink.close(1000);
});

/** Of 27 kB, and hardly fewer packed. */
const noise = (): string => randomBytes(20_000).toString('base64');

test('a slow receiver: no more is taken than there is room for, and all that was taken arrives', async () => {
  const { sink, counts, write } = opened({ bufferBytes: 100_000 });
  let taken = 0;
  const writing = (async () => {
    for (; taken < 20; taken++) await write(noise());
  })();
  let arrived = 0;
  for (let post = await nextPost(); ; post = await nextPost()) {
    arrived += post.lines.trimEnd().split('\n').length;
    // Of lines that are taken and have not arrived, there are 100 kB packed, and one batch under way.
    expect(taken - arrived).toBeLessThan(6);
    post.answer(200);
    if (arrived >= 14) break;
  }
  const closing = writing.then(() => sink.close(60_000));
  while (arrived < 20) {
    const post = await nextPost();
    arrived += post.lines.trimEnd().split('\n').length;
    post.answer(200);
  }
  await closing;
  expect(counts).toMatchObject({ records: 20, failed: 0 });
});

test('at the end, what nobody takes in time is given up and counted', async () => {
  const { sink, clock, counts, said, write } = opened();
  await write('a');
  await write('b');
  const closing = sink.close(5000);
  (await nextPost()).answer(503);
  await until(() => said.length > 0);
  await until(() => clock.pending > 1);
  clock.advance('5s');
  await closing;
  expect(counts).toMatchObject({ records: 0, failed: 2 });
  expect(said.at(-1)).toBe('Records of the access log were not taken in time');
});
