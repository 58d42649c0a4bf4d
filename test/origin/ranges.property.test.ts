import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { startTestOrigin, uploadOf } from './support.ts';

const part = (body: Buffer) => ({ status: 206, body });

/** What `Range: bytes=…` of one range selects, by the words of RFC 9110 §14.1.2 and Buffer.slice. */
function expected(body: Buffer, first: number | undefined, last: number | undefined) {
  const whole = { status: 200, body };
  const unsatisfiable = { status: 416, body: Buffer.alloc(0) };
  if (first === undefined) {
    if (last === undefined) return whole;
    if (last === 0) return unsatisfiable;
    return body.length === 0 ? whole : part(body.subarray(-last));
  }
  if (last !== undefined && last < first) return whole;
  if (first >= body.length) return unsatisfiable;
  return part(body.subarray(first, last === undefined ? undefined : last + 1));
}

test('RFC 9110 §14.1.2: any range of any body is the slice that Buffer makes of it', async () => {
  const { get, store } = await startTestOrigin();
  const position = fc.option(fc.nat(400), { nil: undefined });
  const body = fc.uint8Array({ maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(body, position, position, async (bytes, first, last) => {
      const content = Buffer.from(bytes);
      await store.put('shop', '/a', uploadOf('', { content: once(content) }));
      const answer = await get('/a', { Range: `bytes=${first ?? ''}-${last ?? ''}` });
      expect({ status: answer.status, body: answer.body }).toEqual(expected(content, first, last));
    }),
    { numRuns: 300 },
  );
});

async function* once(content: Buffer): AsyncGenerator<Buffer, void, undefined> {
  yield content;
}
