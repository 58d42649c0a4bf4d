import { type Fields, withoutFields } from '#core/http/fields.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import { resuming } from '#core/tree/resume.ts';
import { isTierField } from '#core/tree/tier-fields.ts';
import type { Admission } from './admission.ts';
import type { Lookup } from './engine.ts';
import type { Fence } from './fence.ts';
import { type Fill, type FillResult, parentSaid } from './fill.ts';
import { contentOf, isPartial, partOf, type PartialObject, suitsRequest } from './object.ts';
import { initialAgeMs } from './policy/freshness.ts';
import { completedFields, restOf } from './policy/partial.ts';
import { responseFacts } from './policy/response.ts';
import { type ContentRange, contentRange, fieldsOfWhole } from './policy/slicing.ts';
import type { Store } from './store.ts';
import { keepingFor, storedResponse } from './stored-response.ts';

/** Bytes of a part that is received whole before it is answered with. */
export const MAX_PART_BYTES = 64 * 1024;

export interface PartsOptions {
  readonly store: Store;
  readonly fence: Fence;
  readonly admission: Admission;
}

/** Objects of which a part is stored, RFC 9111 §3.3. The rest is asked for once it is wanted. */
export class Parts {
  readonly #options: PartsOptions;

  constructor(options: PartsOptions) {
    this.#options = options;
  }

  /**
   * Asks for what is missing of an object.
   * @param fetch asks a parent for the object, with further fields
   * @returns the whole, as if a parent had sent it, or an answer that takes its place; `undefined`:
   * nothing is there that could be completed
   */
  async complete(
    fill: Fill,
    lookup: Lookup,
    fetch: (further: Fields) => Promise<UpstreamResponse>,
  ): Promise<UpstreamResponse | undefined> {
    const stored = this.#stored(lookup);
    const rest = stored && restOf(stored);
    if (stored === undefined || rest === undefined) return undefined;
    const response = await fetch(rest.fields);
    if (response.status !== 206 && response.status !== 416) return response;
    // A purge may have come that concerns the part.
    this.#options.admission.learn(fill, stored.facts);
    const completed = completedFields(stored, rest, response);
    if (completed === undefined) {
      // Of another version than the part, which is of no use then.
      response.discard();
      this.#options.store.drop(stored);
      return undefined;
    }
    // Up to which fence the rest holds tells nothing of the part that was there.
    const fields = withoutFields(completed, isTierField);
    const content = exactly(rest.range, response.body);
    const body =
      rest.range.start > 0
        ? joined(contentOf(stored.body), content)
        : joined(content, contentOf(stored.body));
    // Should the rest break off, it is continued while that brings more; what has come is kept.
    return resuming({ ...response, status: 200, fields, body }, (further, { never }) =>
      never.size === 0 ? fetch(further) : Promise.reject(new Error('Nothing more comes')),
    );
  }

  /**
   * Stores a part that is just what a client asked for.
   * @returns it; or the whole, where that is all there is; `undefined`: it cannot be kept
   */
  async take(
    fill: Fill,
    lookup: Lookup,
    response: UpstreamResponse,
  ): Promise<FillResult | UpstreamResponse | undefined> {
    const { status, requestedAt, receivedAt } = response;
    const range = status === 206 ? contentRange(response.fields) : undefined;
    if (range === undefined || range.end - range.start >= MAX_PART_BYTES) return undefined;
    const fields = withoutFields(response.fields, isTierField);
    const whole = fieldsOfWhole(fields, range.size);
    if (range.end - range.start + 1 === range.size) {
      const body = exactly(range, response.body);
      return { ...response, status: 200, fields: fieldsOfWhole(response.fields, range.size), body };
    }
    const facts = responseFacts(200, whole, receivedAt);
    const { admission } = this.#options;
    if (admission.storability(lookup, facts, range.size) !== 'storable') return undefined;
    admission.learn(fill, facts);
    const chunks = await received(range, response);
    if (chunks === undefined) return undefined;
    const ageMs = initialAgeMs(facts, requestedAt, receivedAt);
    const about = { fields: whole, facts, initialAgeMs: ageMs, receivedAt };
    const object = partOf(storedResponse(fill, about, chunks), range.start, range.size);
    if (fill.purge?.mode !== 'hard') {
      const cache = lookup.site.cacheFor(lookup.request.target, facts);
      await this.#options.store.put(object, keepingFor(object, cache, response));
    }
    return { kind: 'part', object, fields, ...parentSaid(response) };
  }

  /**
   * What is stored of the object, if no purge that the asking node knows has removed it. A soft one
   * wants it validated, which asking for the rest of the same version does.
   */
  #stored({ key, keySelector, request, askingFence }: Lookup): PartialObject | undefined {
    const { store, fence } = this.#options;
    if (askingFence > fence.sequence) return undefined;
    return store
      .lookup(key)
      .filter(isPartial)
      .find(
        (object) =>
          suitsRequest(object, keySelector, request.fields) &&
          fence.verdict(object)?.mode !== 'hard',
      );
  }
}

/** @returns `undefined` where nothing has come, or more than was announced */
async function received(
  { start, end }: ContentRange,
  { body }: UpstreamResponse,
): Promise<readonly Buffer[] | undefined> {
  const chunks: Buffer[] = [];
  let left = end - start + 1;
  for await (const chunk of body) {
    left -= chunk.length;
    if (left < 0) return undefined;
    chunks.push(chunk);
  }
  return chunks.length === 0 ? undefined : chunks;
}

async function* exactly(
  { start, end }: ContentRange,
  content: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  let left = end - start + 1;
  for await (const chunk of content) {
    left -= chunk.length;
    if (left < 0) break;
    yield chunk;
  }
  if (left !== 0) throw new Error('A part is not of the length that its Content-Range states');
}

async function* joined(
  ...contents: readonly (AsyncIterable<Buffer> | readonly Buffer[])[]
): AsyncGenerator<Buffer, void, undefined> {
  for (const content of contents) yield* content;
}
