import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { FillingBody } from '#core/cache/filling-body.ts';

const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 20 });

async function all(content: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of content) parts.push(part);
  return Buffer.concat(parts);
}

test('readers that join at any time get every byte', async () => {
  await fc.assert(
    fc.asyncProperty(chunks, fc.array(fc.nat(20), { maxLength: 5 }), async (parts, joins) => {
      const body = new FillingBody(true, () => undefined);
      const readers: Promise<Buffer>[] = [];
      for (let i = 0; i <= parts.length; i++) {
        for (const join of joins)
          if (join % (parts.length + 1) === i) readers.push(all(body.read()));
        const part = parts[i];
        if (part !== undefined) body.append(Buffer.from(part));
        await Promise.resolve();
      }
      body.complete();
      for (const read of await Promise.all(readers)) expect(read).toEqual(Buffer.concat(parts));
    }),
  );
});

test('a reader gets what has come, then the error', async () => {
  const body = new FillingBody(true, () => undefined);
  body.append(Buffer.from('some'));
  body.fail(new Error('cut'));
  expect(body.joinable).toBe(false);
  const early = new FillingBody(true, () => undefined);
  const reader = early.read();
  early.append(Buffer.from('some'));
  early.fail(new Error('cut'));
  expect((await reader.next()).value?.toString()).toBe('some');
  await expect(reader.next()).rejects.toThrow('cut');
});

test('the slowest reader sets the pace of a body that is not kept', async () => {
  const body = new FillingBody(false, () => undefined);
  const fast = body.read();
  const slow = body.read();
  const large = Buffer.alloc(2 * 1024 * 1024);
  body.append(large);
  await fast.next();
  const room = body.room();
  expect(room).toBeInstanceOf(Promise);
  await slow.next();
  await room;
  expect(body.joinable).toBe(false);
  expect(() => body.read()).toThrow('gone');
});

test('a body that is not kept and that nobody reads any more is abandoned', async () => {
  let abandoned = 0;
  const body = new FillingBody(false, () => abandoned++);
  const one = body.read();
  const other = body.read();
  await one.return?.();
  expect(abandoned).toBe(0);
  await other.return?.();
  expect(abandoned).toBe(1);
});

test('a kept body outlives its readers', async () => {
  let abandoned = false;
  const body = new FillingBody(true, () => {
    abandoned = true;
  });
  await body.read().return?.();
  body.append(Buffer.from('x'));
  body.complete();
  expect(abandoned).toBe(false);
  expect((await all(body.read())).toString()).toBe('x');
});

test('a kept body that is let go drops what all have read', async () => {
  const body = new FillingBody(true, () => undefined);
  const reader = body.read();
  body.append(Buffer.from('one'));
  await reader.next();
  expect(body.joinable).toBe(true);
  body.letGo();
  expect(body.joinable).toBe(false);
});

test('a body that is let go when nobody reads it is abandoned, and its producer goes on', () => {
  let abandoned = 0;
  const body = new FillingBody(true, () => abandoned++);
  body.append(Buffer.alloc(2 * 1024 * 1024));
  body.letGo();
  expect(abandoned).toBe(1);
  expect(body.room()).toBeUndefined();
});

test('a producer that waits for room goes on when the last reader leaves', async () => {
  const body = new FillingBody(false, () => undefined);
  const reader = body.read();
  body.append(Buffer.alloc(2 * 1024 * 1024));
  const room = body.room();
  await reader.return?.();
  await expect(room).resolves.toBeUndefined();
});
