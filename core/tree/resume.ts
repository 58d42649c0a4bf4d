import { createHash, type Hash } from 'node:crypto';
import { contentRange } from '#core/cache/policy/slicing.ts';
import { type Fields, fieldValue } from '#core/http/fields.ts';
import { contentLength } from '#core/http/length.ts';
import type { UpstreamResponse } from './attempt.ts';

/** Continuations of one body; a transfer that breaks more often than this is given up. */
const MAX_RESUMES = 8;

/** Which parents to ask for the rest of a body, by what they have done so far. */
export interface Detour {
  /** Names of those that broke off: asked after the others. */
  readonly last: ReadonlySet<string>;
  /** Names of those that broke off without bringing a byte more, or had another version: not asked. */
  readonly never: ReadonlySet<string>;
}

/**
 * `response`, whose body, should it break off, is continued from another answer, so that whoever
 * reads it sees one unbroken body of one version:
 * - under a strong validator, by `Range` and `If-Range` (RFC 9110 §13.1.5, §14.2);
 * - without one, from a whole answer whose beginning has the same digest as what was read: the
 *   bytes seen then are all of that answer.
 *
 * Where no parent can do either the body throws what broke it, and is never taken for complete.
 * @param askAgain sends the same request with further fields; rejects when no parent is left
 */
export function resuming(
  response: UpstreamResponse,
  askAgain: (fields: Fields, detour: Detour) => Promise<UpstreamResponse>,
): UpstreamResponse {
  if (response.status !== 200) return response;
  let current = response;
  let discarded = false;

  async function* body(): AsyncGenerator<Buffer, void, undefined> {
    const soFar = new Beginning(response.fields);
    const detour = { last: new Set<string>(), never: new Set<string>() };
    let rest: AsyncIterable<Buffer> | undefined = response.body;
    let broken: unknown;
    for (let resumes = 0; resumes <= MAX_RESUMES; resumes++) {
      const before = soFar.bytes;
      try {
        if (rest !== undefined) {
          for await (const chunk of rest) {
            soFar.add(chunk);
            yield chunk;
          }
          if (soFar.isWhole()) return;
          broken = new Error('A continuation ended before the content did');
        }
      } catch (error) {
        broken = error;
      }
      if (discarded) break;
      detour.last.add(current.parent.name);
      if (soFar.bytes === before) detour.never.add(current.parent.name);
      const next = await askAgain(soFar.conditions(), detour).catch(() => undefined);
      if (next === undefined) break;
      current = next;
      rest = await soFar.continuedBy(next);
      if (rest === undefined) next.discard();
    }
    throw broken;
  }

  return {
    ...response,
    body: body(),
    discard: () => {
      discarded = true;
      current.discard();
    },
  };
}

/** What has been read of a body, as far as it takes to recognise its continuation. */
class Beginning {
  readonly #validator: string | undefined;
  readonly #description: string;
  readonly #digest: Hash | undefined;
  bytes = 0;
  #length: number | undefined;

  constructor(fields: Fields) {
    const etag = fieldValue(fields, 'etag');
    this.#validator = etag?.startsWith('"') ? etag : undefined;
    this.#length = contentLength(fields);
    this.#description = describe(fields);
    this.#digest = this.#validator === undefined ? createHash('sha256') : undefined;
  }

  add(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.#digest?.update(chunk);
  }

  /** As far as any answer told the length. */
  isWhole(): boolean {
    return this.#length === undefined || this.bytes === this.#length;
  }

  conditions(): Fields {
    if (this.#validator === undefined || this.bytes === 0) return [];
    return ['Range', `bytes=${this.bytes}-`, 'If-Range', this.#validator];
  }

  /** What of `answer` comes after this; `undefined` if it is another version. */
  async continuedBy(answer: UpstreamResponse): Promise<AsyncIterable<Buffer> | undefined> {
    const { status, fields, body } = answer;
    if (this.#validator !== undefined) {
      if (fieldValue(fields, 'etag') !== this.#validator) return undefined;
      if (status === 200) return afterFirst(this.bytes, body);
      const range = status === 206 ? contentRange(fields) : undefined;
      if (range?.start !== this.bytes) return undefined;
      // A server may send less than was asked for, RFC 9110 §15.3.7: its end is not that of the whole.
      this.#length ??= range.size;
      return body;
    }
    if (status !== 200 || describe(fields) !== this.#description) return undefined;
    return this.#ifSameBeginning(body);
  }

  async #ifSameBeginning(body: AsyncIterable<Buffer>): Promise<AsyncIterable<Buffer> | undefined> {
    const digest = createHash('sha256');
    const source = body[Symbol.asyncIterator]();
    let left = this.bytes;
    let over: Buffer | undefined;
    try {
      while (left > 0) {
        const { done, value } = await source.next();
        if (done) return undefined;
        digest.update(value.subarray(0, left));
        if (value.length > left) over = value.subarray(left);
        left -= Math.min(left, value.length);
      }
    } catch {
      return undefined;
    }
    const same = this.#digest?.copy().digest().equals(digest.digest()) === true;
    return same ? resumed(over, source) : undefined;
  }
}

/** The fields that go with one version of a content; the answer that continues it must have the same. */
const describe = (fields: Fields): string =>
  ['content-length', 'content-type', 'content-encoding', 'etag', 'last-modified']
    .map((name) => fieldValue(fields, name) ?? '')
    .join('\n');

async function* resumed(
  first: Buffer | undefined,
  source: AsyncIterator<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  if (first !== undefined) yield first;
  yield* { [Symbol.asyncIterator]: () => source };
}

async function* afterFirst(
  bytes: number,
  body: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  let left = bytes;
  for await (const chunk of body) {
    if (chunk.length > left) yield chunk.subarray(left);
    left -= Math.min(left, chunk.length);
  }
}
