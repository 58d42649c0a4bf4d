import { Body } from '#core/cache/body.ts';
import type { StoredBody, StoredObject } from '#core/cache/object.ts';
import { hash32 } from '#core/hash.ts';
import { response } from '#test/policy/facts.ts';

/** What one thread of the process that is killed says of one key, before and after each step. */
export interface Said {
  readonly step: 'begins' | 'done' | 'refused';
  readonly what: 'put' | 'purge';
  readonly key: string;
  /** Of the content put, or the sequence of the purge: both rise together. */
  readonly version: number;
}

const SIZES = [0, 700, 5_000, 16_384, 16_385, 40_000, 65_536, 200_000, 400_000];

/** The content of one version of a key, which no other key or version has. */
export function contentFor(key: string, version: number): Buffer {
  const seed = hash32(key, String(version));
  const size = SIZES[seed % SIZES.length] ?? 0;
  const content = Buffer.alloc(size, `${key} ${version};`);
  for (let i = 0; i < size; i += 997) content[i] = (seed + i) & 0xff;
  return content;
}

export const objectFor = (key: string, version: number): StoredObject => ({
  key,
  site: `site ${hash32(key) % 3}`,
  selector: '',
  fields: ['Version', String(version)],
  facts: response({}),
  body: new Body([contentFor(key, version)]),
  initialAgeMs: 0,
  receivedAt: version,
  asOf: version,
  softPurgedAt: undefined,
});

/** All of a body, or from `start` to `end`, both inclusive. */
export async function contentOf(body: StoredBody, start = 0, end = body.size - 1): Promise<Buffer> {
  if (body instanceof Body) return Buffer.concat(body.slice(start, end));
  return Buffer.concat(await Array.fromAsync(body.read(start, end)));
}
