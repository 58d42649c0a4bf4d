import type { MessagePort } from 'node:worker_threads';
import { type Clock, type Cancel } from '#core/clock.ts';
import { CanopyError } from '#core/errors.ts';
import type { Lookup } from '#core/cache/engine.ts';
import { fieldValue, hasField, withoutFields } from '#core/http/fields.ts';
import { unconditional } from '#core/cache/policy/validation.ts';
import type { FillCounters } from '#core/telemetry/fill-counters.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import { rendezvous, type Weighted } from '#core/tree/rendezvous.ts';
import { resuming } from '#core/tree/resume.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import type { Tree, UpstreamRequest } from '#core/tree/tree.ts';
import type { AnswerSibling } from './answering.ts';
import { SiblingLost } from './asking.ts';
import { SiblingLink } from './link.ts';
import { type Asked, SIBLING } from './messages.ts';

export interface SiblingsOptions {
  readonly clock: Clock;
  readonly tree: Tree;
  readonly counters: FillCounters;
  readonly answerSibling: AnswerSibling;
}

interface Seat extends Weighted {
  readonly slot: number;
  /** `undefined`: this very thread. */
  readonly link: SiblingLink | undefined;
}

/**
 * The other threads of this node. Every key has one of them, or this thread, as its *home*: only
 * the home asks the tree for it, and the others ask the home as if it were a nearer parent, so that
 * a node makes one request however many threads want the object.
 */
export class Siblings {
  readonly #options: SiblingsOptions;
  #seats: readonly Seat[] = [];
  #slot: number | undefined;

  constructor(options: SiblingsOptions) {
    this.#options = options;
  }

  /** Takes this thread's own place among them. */
  sit(slot: number): void {
    this.#slot = slot;
    this.#put(seat(slot, undefined));
  }

  /** Meets the thread at `slot`, which holds the other end of `port`. */
  meet(slot: number, port: MessagePort): void {
    const link = new SiblingLink(port, this.#options.answerSibling, () => {
      this.#seats = this.#seats.filter((other) => other.link !== link);
    });
    this.#put(seat(slot, link));
  }

  /** Resolves with the answer of the key's home, or of the tree where that is this thread. */
  async fetch(lookup: Lookup, request: UpstreamRequest): Promise<UpstreamResponse> {
    const { counters } = this.#options;
    const link = this.#homeOf(lookup);
    if (link === undefined || asksPastCaches(lookup, request))
      return this.#fromTree(lookup, request);
    try {
      const response = await this.#ask(link, lookup, request);
      counters.fromSiblings++;
      return response;
    } catch (error) {
      if (error instanceof SiblingLost) return this.#fromTree(lookup, request);
      throw error;
    }
  }

  async #fromTree({ heldOnly }: Lookup, request: UpstreamRequest): Promise<UpstreamResponse> {
    if (heldOnly === true) throw new CanopyError('only-if-cached', 'No thread holds it');
    return this.#options.tree.fetch(request);
  }

  /** Of this thread; `undefined`: it is the only one. */
  get slot(): number | undefined {
    return this.#slot;
  }

  get threads(): number {
    return Math.max(1, this.#seats.length);
  }

  isHome(lookup: Lookup): boolean {
    return this.#homeOf(lookup) === undefined;
  }

  /** The slot of the key's home; `undefined`: this thread knows no others. */
  homeSlot(key: string): number | undefined {
    return rendezvous(this.#seats, key)[0]?.slot;
  }

  close(): void {
    for (const { link } of this.#seats) link?.close();
  }

  #put(added: Seat): void {
    this.#seats = [...this.#seats.filter(({ name }) => name !== added.name), added];
  }

  /** `undefined`: this very thread. */
  #homeOf({ key, fromSibling }: Lookup): SiblingLink | undefined {
    if (this.#seats.length < 2 || fromSibling === true) return undefined;
    return rendezvous(this.#seats, key)[0]?.link;
  }

  async #ask(
    link: SiblingLink,
    lookup: Lookup,
    request: UpstreamRequest,
  ): Promise<UpstreamResponse> {
    const { clock } = this.#options;
    const requestedAt = clock.now();
    const asking = link.ask(askedOf(lookup, request), (status, fields) =>
      request.onInterim?.(status, fields),
    );
    const cancel: Cancel = clock.after(lookup.site.cache.waitTimeoutMs, () => asking.giveUp());
    const { status, fields, asOf, sliced, tries, body } = await asking.answer.finally(cancel);
    const response: UpstreamResponse = {
      parent: SIBLING,
      status,
      fields: [
        ...withoutFields(fields, (name) => name === TIER_FIELDS.fence.toLowerCase()),
        TIER_FIELDS.fence,
        String(asOf),
      ],
      body,
      sliced,
      discard: () => asking.discard(),
      requestedAt,
      receivedAt: clock.now(),
      tries,
    };
    // A home that dies in the middle is replaced by the tree; one that failed has tried that.
    let lost = false;
    const watched = watching(body, (error) => {
      lost = error instanceof SiblingLost;
    });
    return resuming({ ...response, body: watched }, (further) =>
      lost
        ? this.#fromTree(lookup, { ...request, fields: [...request.fields, ...further] })
        : Promise.reject(new Error('The home thread has tried every parent')),
    );
  }
}

const seat = (slot: number, link: SiblingLink | undefined): Seat => ({
  slot,
  name: `thread-${slot}`,
  weight: 1,
  link,
});

/**
 * Whether a client asks of caches what is honoured, of which the home knows nothing. But a slice is
 * of the one version that is being read, whoever it comes from.
 */
const asksPastCaches = (
  { site, fromTier, request: { fields } }: Lookup,
  request: UpstreamRequest,
): boolean =>
  !fromTier &&
  site.cache.honourClientCacheControl &&
  (hasField(fields, 'cache-control') || hasField(fields, 'pragma')) &&
  !hasField(request.fields, 'if-range');

/** Of what is asked upstream, that which concerns not everybody but what this thread has stored, or lacks. */
const OF_THIS_THREAD = ['If-None-Match', 'If-Modified-Since', 'Range', 'If-Range'];

/** The fill as its home is to see it. */
function askedOf(lookup: Lookup, { method, fields, fence, changed }: UpstreamRequest): Asked {
  const { site, upstreamFields: _, client: __, pace: ___, shaping: ____, ...rest } = lookup;
  const own = OF_THIS_THREAD.flatMap((name) => {
    const value = fieldValue(fields, name.toLowerCase());
    return value === undefined ? [] : [name, value];
  });
  return {
    ...rest,
    site: site.name,
    request: {
      ...lookup.request,
      method,
      fields: [...unconditional(lookup.request.fields), ...own],
      hasContent: false,
    },
    upstreamFields: fields,
    fromTier: true,
    fromSibling: true,
    askingFence: fence,
    changed,
  };
}

async function* watching(
  body: AsyncIterable<Buffer>,
  onError: (error: unknown) => void,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* body;
  } catch (error) {
    onError(error);
    throw error;
  }
}
