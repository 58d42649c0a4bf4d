import { PassThrough, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { expect, test } from 'vitest';
import { AHEAD_BYTES, sendPaced } from '#core/serving/paced.ts';

const CHUNK = Buffer.alloc(10_000, 'a');
const uncut = (error: Error): void => {
  throw error;
};

/** Content of `count` chunks, and then what `end` does; how many were asked for, and whether it was let go of. */
function content(count: number, end: () => Promise<unknown> | undefined = () => undefined) {
  const seen = { asked: 0, isReturned: false };
  const source: AsyncIterableIterator<Buffer> = {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      if (seen.asked < count) return { done: false, value: (seen.asked++, CHUNK) };
      await end();
      return { done: true, value: undefined };
    },
    async return() {
      seen.isReturned = true;
      return { done: true, value: undefined };
    },
  };
  return { seen, source };
}

test('sends all, and says so once it has gone out', async () => {
  const to = new PassThrough();
  const received: Buffer[] = [];
  to.on('data', (chunk: Buffer) => received.push(chunk));
  const sent = await sendPaced(to, content(5).source, uncut);
  expect(sent).toEqual({ bytes: 50_000, end: 'complete' });
  expect(Buffer.concat(received).length).toBe(50_000);
});

test('sends what is in memory the same way', async () => {
  const to = new PassThrough().resume();
  const sent = await sendPaced(to, Array<Buffer>(20).fill(CHUNK), uncut);
  expect(sent).toEqual({ bytes: 200_000, end: 'complete' });
});

test('asks for no more than may wait for a client that does not read', async () => {
  const to = new Writable({ write: () => undefined });
  const { seen, source } = content(100_000);
  const sent = sendPaced(to, source, uncut);
  while (seen.asked * CHUNK.length < AHEAD_BYTES) await new Promise(setImmediate);
  await new Promise(setImmediate);
  const asked = Math.ceil(AHEAD_BYTES / CHUNK.length);
  expect(seen.asked).toBe(asked);
  to.destroy();
  expect(await sent).toEqual({ bytes: asked * CHUNK.length, end: 'aborted' });
  expect(seen).toEqual({ asked, isReturned: true });
});

test('asks for more once what waited has gone out', async () => {
  const waiting: (() => void)[] = [];
  const to = new Writable({ write: (_chunk, _encoding, done) => void waiting.push(done) });
  const count = Math.ceil((2 * AHEAD_BYTES) / CHUNK.length);
  const sent = sendPaced(to, content(count).source, uncut);
  const flow = setInterval(() => waiting.shift()?.(), 0);
  expect(await sent).toEqual({ bytes: count * CHUNK.length, end: 'complete' });
  clearInterval(flow);
});

test('lets go of content that stalls when the client leaves', async () => {
  const { seen, source } = content(1, () => new Promise(() => undefined));
  const to = new PassThrough().resume();
  const sent = sendPaced(to, source, uncut);
  await new Promise(setImmediate);
  to.destroy(new Error('reset'));
  expect(await sent).toEqual({ bytes: 10_000, end: 'aborted' });
  expect(seen.isReturned).toBe(true);
});

test('lets go of content for a client that has left before', async () => {
  const { seen, source } = content(1);
  const to = new PassThrough();
  to.destroy();
  await finished(to).catch(() => undefined);
  expect(await sendPaced(to, source, uncut)).toEqual({ bytes: 0, end: 'aborted' });
  expect(seen).toEqual({ asked: 0, isReturned: true });
});

test('cuts an answer whose content fails, and does not end it', async () => {
  const to = new PassThrough().resume();
  const cuts: Error[] = [];
  const { source } = content(2, () => Promise.reject(new Error('lost')));
  const sent = await sendPaced(to, source, (error) => {
    cuts.push(error);
    to.destroy(error);
  });
  expect(sent).toEqual({ bytes: 20_000, end: 'broken' });
  expect(cuts).toEqual([new Error('lost')]);
  expect(to.writableEnded).toBe(false);
});
