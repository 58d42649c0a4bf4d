import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { parseMultipart } from '#test/multipart.ts';
import type { Seen } from './kit/client.ts';
import { scenario } from './kit/scenario.ts';

const SLICE_BYTES = 4096;
const LARGE = { site: { cache: { sliceBytes: SLICE_BYTES, sliceAboveBytes: 10_000 } } };

const TEXT = 'abcdefghijklmnopqrstuvwxyz';
const small = { cacheControl: 'max-age=60', etag: '"1"', body: TEXT } as const;
const film = Buffer.from(Array.from({ length: 9 * SLICE_BYTES }, (_, i) => (i * 31) % 251));

/** The parts of an answer by their place, once its framing has been checked. */
function partsOf({ status, headers, body }: Seen): Readonly<Record<string, string>> {
  expect(status).toBe(206);
  expect(headers['content-length']).toBe(String(body.length));
  expect(headers['content-range']).toBeUndefined();
  const parts = parseMultipart(headers['content-type'] ?? '', body);
  return Object.fromEntries(
    parts.map(({ contentRange, bytes }) => [contentRange, bytes.toString('latin1')]),
  );
}

const bytes = (start: number, end: number): string => film.toString('latin1', start, end + 1);

scenario('several ranges of a stored object', async ({ origin, edge }) => {
  origin.answers('/a', { ...small, fields: { 'Content-Type': 'text/plain' } });
  await edge().get('/a');
  const seen = await edge().get('/a', { Range: 'bytes=20-22,0-4,-1' });
  expect(partsOf(seen)).toEqual({
    'bytes 20-22/26': 'uvw',
    'bytes 0-4/26': 'abcde',
    'bytes 25-25/26': 'z',
  });
  const [first] = parseMultipart(seen.headers['content-type'] ?? '', seen.body);
  expect(first?.contentType).toBe('text/plain');
  const again = await edge().get('/a', { Range: 'bytes=20-22,0-4,-1' });
  expect(again.headers['content-type']).not.toBe(seen.headers['content-type']);
  origin.saw('GET /a');
});

scenario('ranges of which one is left are answered as one', async ({ origin, edge }) => {
  origin.answers('/a', small);
  const one = { status: 206, headers: { 'content-range': 'bytes 0-4/26' }, body: 'abcde' };
  await edge().get('/a', { Range: 'bytes=0-2,3-4' }).sees(one);
  await edge().get('/a', { Range: 'bytes=0-4,99-' }).sees(one);
});

scenario('several ranges are not for everybody', async ({ origin, edge }) => {
  origin.answers('/a', small);
  const whole = { status: 200, body: TEXT };
  const several = { Range: 'bytes=0-1,20-21' };
  await edge()
    .get('/a', { ...several, 'If-Range': '"other"' })
    .sees(whole);
  await edge().send('/a', { method: 'HEAD', headers: several }).sees({ status: 200, body: '' });
  await edge().get('/a', { Range: 'bytes=0-,0-' }).sees(whole);
  await edge()
    .get('/a', { Range: `bytes=${'0-0,2-2,'.repeat(9)}` })
    .sees(whole);
  expect(
    Object.keys(partsOf(await edge().get('/a', { ...several, 'If-Range': '"1"' }))),
  ).toHaveLength(2);
});

scenario('several ranges of an object under way', async ({ origin, edge, gate }) => {
  const rest = gate();
  origin.answers('/a', { ...small, pausesAt: { bytes: 10, gate: rest } });
  const first = edge().get('/a', { Range: 'bytes=0-1,4-5,20-21' });
  const backwards = edge().get('/a', { Range: 'bytes=20-21,0-1' });
  await rest.reached();
  rest.open();
  const ascending = { 'bytes 0-1/26': 'ab', 'bytes 4-5/26': 'ef', 'bytes 20-21/26': 'uv' };
  expect(partsOf(await first)).toEqual(ascending);
  // They do not come in that order.
  await backwards.sees({ status: 200, body: TEXT });
  origin.saw('GET /a');
});

scenario('several ranges of a large object', LARGE, async ({ origin, edge }) => {
  origin.answers('/film', { cacheControl: 'max-age=60', etag: '"1"', body: film, ranges: true });
  const range = 'bytes=20000-20009,100-109,8190-8193';
  const parts = {
    'bytes 20000-20009/36864': bytes(20_000, 20_009),
    'bytes 100-109/36864': bytes(100, 109),
    'bytes 8190-8193/36864': bytes(8190, 8193),
  };
  expect(partsOf(await edge().get('/film', { Range: range }))).toEqual(parts);
  expect(partsOf(await edge().get('/film', { Range: range }))).toEqual(parts);
});

scenario('curl reads several ranges', async ({ origin, edge }) => {
  origin.answers('/a', small);
  const { stdout } = await promisify(execFile)(
    'curl',
    ['-s', '-i', '-r', '0-4,10-14', '-H', 'Host: www.example.org', `${edge().url}/a`],
    { encoding: 'latin1' },
  );
  const [head = '', ...body] = stdout.split('\r\n\r\n');
  expect(head).toMatch(/^HTTP\/1\.1 206 /);
  const type = /^content-type: (.*)$/im.exec(head)?.[1]?.trim() ?? '';
  const parts = parseMultipart(type, Buffer.from(body.join('\r\n\r\n'), 'latin1'));
  expect(parts.map((part) => part.bytes.toString())).toEqual(['abcde', 'klmno']);
});
