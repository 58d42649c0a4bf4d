import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import { resuming } from '#core/tree/resume.ts';

/** How one parent answers, and breaks off. */
interface Answer {
  /** Bytes of its body after which it breaks off; beyond the body: it does not. */
  readonly breaksAfter: number;
  readonly version: 'same' | 'other';
  readonly ranges: boolean;
  /** It sends no more than so many bytes of what a range asks for, and ends as if that were all. */
  readonly mostOfRange: number;
}

interface Given {
  readonly size: number;
  readonly hasLength: boolean;
  readonly hasEtag: boolean;
  readonly pieceBytes: number;
}

const GIVEN = fc.record<Given>({
  size: fc.integer({ min: 1, max: 600 }),
  hasLength: fc.boolean(),
  hasEtag: fc.boolean(),
  pieceBytes: fc.integer({ min: 1, max: 200 }),
});
const answer = (version: fc.Arbitrary<Answer['version']>, most: fc.Arbitrary<number>) =>
  fc.record<Answer>({
    breaksAfter: fc.nat(700),
    version,
    ranges: fc.boolean(),
    mostOfRange: most,
  });

const bodyOf = (size: number, version: Answer['version']): Buffer =>
  Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + (version === 'same' ? 0 : 1)) % 251));

async function* pieces(
  body: Buffer,
  pieceBytes: number,
  breaksAfter: number,
): AsyncGenerator<Buffer, void, undefined> {
  const sent = body.subarray(0, breaksAfter);
  for (let at = 0; at < sent.length; at += pieceBytes) {
    yield sent.subarray(at, Math.min(at + pieceBytes, sent.length));
  }
  if (breaksAfter < body.length) throw new Error('broken off');
}

function respond(
  { size, hasLength, hasEtag, pieceBytes }: Given,
  { version, ranges, mostOfRange, breaksAfter }: Answer,
  name: number,
  fields: readonly string[],
): UpstreamResponse {
  const whole = bodyOf(size, version);
  const etag = `"${version}"`;
  const from = Number(/^bytes=(\d+)-$/.exec(fields[fields.indexOf('Range') + 1] ?? '')?.[1] ?? NaN);
  const isPart = ranges && fields[fields.indexOf('If-Range') + 1] === etag && from < size;
  const end = Math.min(size, isPart ? from + mostOfRange : size);
  const body = whole.subarray(isPart ? from : 0, end);
  return {
    parent: { name: `parent-${name}`, url: '', tier: 'customer' },
    status: isPart ? 206 : 200,
    fields: [
      ...(hasLength ? ['Content-Length', String(body.length)] : []),
      ...(hasEtag ? ['ETag', etag] : []),
      ...(isPart ? ['Content-Range', `bytes ${from}-${end - 1}/${size}`] : []),
    ],
    body: pieces(body, pieceBytes, breaksAfter),
    discard: () => undefined,
    requestedAt: 0,
    receivedAt: 0,
  };
}

/** What a client gets of the first answer, continued by the others in turn. */
async function read(
  given: Given,
  [first, ...others]: readonly Answer[],
): Promise<{ bytes: Buffer; isComplete: boolean }> {
  const left = [...others];
  let asked = 0;
  if (first === undefined) throw new Error('There is a first answer');
  const response = resuming(respond(given, first, asked, []), async (fields) => {
    const next = left.shift();
    if (next === undefined) throw new Error('no parent is left');
    return respond(given, next, ++asked, fields);
  });
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response.body) chunks.push(chunk);
    return { bytes: Buffer.concat(chunks), isComplete: true };
  } catch {
    return { bytes: Buffer.concat(chunks), isComplete: false };
  }
}

test('whatever breaks where, a client gets the bytes of one version, and a part is never taken for the whole', async () => {
  const most = fc.integer({ min: 1, max: 700 });
  const any = answer(fc.constantFrom('same', 'other'), most);
  const first = answer(fc.constant('same'), most);
  await fc.assert(
    fc.asyncProperty(GIVEN, first, fc.array(any, { maxLength: 12 }), async (given, a, others) => {
      const { bytes, isComplete } = await read(given, [a, ...others]);
      // Before the first byte, without a validator, any version may be the one.
      const versions = given.hasEtag ? (['same'] as const) : (['same', 'other'] as const);
      const wholes = versions.map((version) => bodyOf(given.size, version));
      const isOf = (whole: Buffer): boolean =>
        bytes.equals(isComplete ? whole : whole.subarray(0, bytes.length));
      expect(wholes.some(isOf)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test('up to eight breaks are bridged, where those who come after have the same version', async () => {
  const same = answer(fc.constant('same'), fc.constant(Infinity));
  await fc.assert(
    fc.asyncProperty(
      GIVEN,
      fc.array(same, { minLength: 1, maxLength: 8 }),
      async (given, broken) => {
        const last = {
          breaksAfter: Infinity,
          version: 'same',
          ranges: true,
          mostOfRange: Infinity,
        } as const;
        const { bytes, isComplete } = await read(given, [...broken, last]);
        expect(isComplete).toBe(true);
        expect(bytes.equals(bodyOf(given.size, 'same'))).toBe(true);
      },
    ),
    { numRuns: 1000 },
  );
});

test('once only another version is left, the answer is cut', async () => {
  const other = answer(fc.constant('other'), fc.constant(Infinity));
  await fc.assert(
    fc.asyncProperty(
      GIVEN,
      fc.nat(),
      fc.array(other, { maxLength: 5 }),
      async (given, at, others) => {
        const breaksAfter = 1 + (at % given.size);
        fc.pre(breaksAfter < given.size);
        const first = {
          breaksAfter,
          version: 'same',
          ranges: true,
          mostOfRange: Infinity,
        } as const;
        const { bytes, isComplete } = await read(given, [first, ...others]);
        expect(isComplete).toBe(false);
        expect(bytes.equals(bodyOf(given.size, 'same').subarray(0, breaksAfter))).toBe(true);
      },
    ),
    { numRuns: 500 },
  );
});
