import { setImmediate } from 'node:timers/promises';
import { MessageChannel, Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import type { Answer } from '#core/cache/answer.ts';
import type { AnswerSibling } from '#core/cache/siblings/answering.ts';
import { SiblingLost } from '#core/cache/siblings/asking.ts';
import { SiblingLink } from '#core/cache/siblings/link.ts';
import { type Asked, SIBLING_WINDOW_BYTES } from '#core/cache/siblings/messages.ts';
import { CanopyError } from '#core/errors.ts';

const ASKED: Asked = {
  site: 'site',
  key: 'site /a',
  keySelector: '',
  keyedBy: '',
  request: {
    method: 'GET',
    scheme: 'http',
    authority: 'a.test',
    host: 'a.test',
    target: '/a',
    fields: [],
    hasContent: false,
    upgrade: undefined,
    expectsContinue: false,
  },
  upstreamFields: [],
  fromTier: true,
  askingFence: 0,
  changed: false,
};

const answerWith = (content: Answer['content']): Answer => ({
  status: 200,
  fields: ['ETag', '"1"'],
  content,
  outcome: {
    action: 'serve',
    reason: 'fresh',
    ttlSeconds: 1,
    forwardStatus: undefined,
    collapsed: false,
    stored: false,
    detail: undefined,
  },
  asOf: 7,
});

const ignore = (): void => undefined;

const nobody: AnswerSibling = () => Promise.reject(new Error('Nobody is asked here'));

function linked(answer: AnswerSibling): { asking: SiblingLink; close: () => void } {
  const { port1, port2 } = new MessageChannel();
  const asking = new SiblingLink(port1, nobody, () => undefined);
  const answering = new SiblingLink(port2, answer, () => undefined);
  return { asking, close: () => answering.close() };
}

async function* failing(): AsyncGenerator<Buffer, void, undefined> {
  yield Buffer.from('some');
  await setImmediate();
  throw new Error('cut');
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setImmediate();
}

test('an answer crosses with its fence and every byte', async () => {
  const chunks = Array.from({ length: 50 }, (_, i) => Buffer.alloc(100_000, i));
  const { asking, close } = linked(() => Promise.resolve(answerWith(chunks)));
  const { status, fields, asOf, body } = await asking.ask(ASKED, ignore).answer;
  expect({ status, fields, asOf }).toEqual({ status: 200, fields: ['ETag', '"1"'], asOf: 7 });
  const parts: Buffer[] = [];
  for await (const part of body) parts.push(part);
  expect(Buffer.concat(parts).equals(Buffer.concat(chunks))).toBe(true);
  close();
});

test('a thread that does not read holds the other back, and goes on when it does', async () => {
  let given = 0;
  const chunk = Buffer.alloc(64 * 1024);
  async function* content(): AsyncGenerator<Buffer, void, undefined> {
    while (given < 100 * chunk.length) {
      given += chunk.length;
      await setImmediate();
      yield chunk;
    }
  }
  const { asking, close } = linked(() => Promise.resolve(answerWith(content())));
  const { body } = await asking.ask(ASKED, ignore).answer;
  await until(() => given >= SIBLING_WINDOW_BYTES);
  for (let i = 0; i < 100; i++) await setImmediate();
  expect(given).toBeLessThanOrEqual(SIBLING_WINDOW_BYTES + chunk.length);
  let got = 0;
  for await (const part of body) got += part.length;
  expect(got).toBe(100 * chunk.length);
  close();
});

test('what is discarded is given up on the other side', async () => {
  const ended = Promise.withResolvers<void>();
  async function* content(): AsyncGenerator<Buffer, void, undefined> {
    try {
      for (;;) {
        yield Buffer.alloc(1000);
        await setImmediate();
      }
    } finally {
      ended.resolve();
    }
  }
  let signal: AbortSignal | undefined;
  const { asking, close } = linked((_, given) => {
    signal = given;
    return Promise.resolve(answerWith(content()));
  });
  const asked = asking.ask(ASKED, ignore);
  await asked.answer;
  asked.discard();
  await ended.promise;
  expect(signal?.aborted).toBe(true);
  close();
});

test('a failure crosses with its code', async () => {
  const { asking, close } = linked(() => {
    throw new CanopyError('upstream-timeout', 'No parent answered');
  });
  await expect(asking.ask(ASKED, ignore).answer).rejects.toMatchObject({
    code: 'upstream-timeout',
    message: 'No parent answered',
  });
  close();
});

test('content that fails is not taken for complete', async () => {
  const { asking, close } = linked(() => Promise.resolve(answerWith(failing())));
  const { body } = await asking.ask(ASKED, ignore).answer;
  const read = async (): Promise<void> => {
    for await (const part of body) expect(part.toString()).toBe('some');
  };
  await expect(read()).rejects.toThrow('cut');
  close();
});

test('a thread that ends in the middle is noticed, and asked no more', async () => {
  const { port1, port2 } = new MessageChannel();
  const closed = Promise.withResolvers<void>();
  const link = new SiblingLink(port1, nobody, closed.resolve);
  // A sibling that takes the question and then nothing more.
  const source = `require('node:worker_threads').parentPort.once('message', (port) => {
    port.once('message', () => process.exit());
  });`;
  const worker = new Worker(source, { eval: true });
  worker.postMessage(port2, [port2]);
  await expect(link.ask(ASKED, ignore).answer).rejects.toBeInstanceOf(SiblingLost);
  await closed.promise;
  await expect(link.ask(ASKED, ignore).answer).rejects.toBeInstanceOf(SiblingLost);
});
