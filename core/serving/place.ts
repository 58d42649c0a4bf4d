import { carryOut } from '#core/cache/carry-out.ts';
import type { CacheEngine, Lookup, Pace } from '#core/cache/engine.ts';
import { isManifest } from '#core/cache/object.ts';
import { delay } from '#core/clock.ts';
import type { PushVariant } from '#core/contract/push.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { readRequest } from '#core/http/request.ts';
import { isHit, type Outcome } from '#core/telemetry/cache-status.ts';
import { withClient } from '#core/tree/forward.ts';
import { isPreferred } from '#core/tree/parents.ts';
import type { Placed, Placement } from '#core/node/placement.ts';
import { clientLookup } from './client-lookup.ts';
import type { TierNode } from './tier-node.ts';

/** The object's home is another thread, which is to be told in place of this one. */
export interface AtHome {
  readonly kind: 'sibling';
  readonly slot: number;
}

/** Times that an object is fetched anew because it was purged on its way. */
const MAX_FETCHES = 3;
/** While clients need the parents. */
const CROWDED_MS = 50;
const MAX_CROWDED = 200;

/** What the origin is told of the client, RFC 7239 §6.2: there is none. */
const NO_CLIENT = { address: 'unknown' };

/**
 * Stores an object as if a client had asked for it: under its key, by the one fetch that others may
 * join, up the tree, heeding purges.
 * @param atHome told by another thread that the object is at home in this one
 * @param signal what is under way then is finished by who else wants it
 */
export async function place(
  node: TierNode,
  { url, variant }: Placement,
  atHome: boolean,
  pace: Pace | undefined,
  signal: AbortSignal,
): Promise<Placed | AtHome> {
  try {
    const paced = new Paced(pace);
    const lookup = lookupFor(node, url, variant, paced.pace);
    if (node.tier === 'mid-tier' && !isPreferred(node.config, node.name, lookup.key)) {
      return { kind: 'elsewhere' };
    }
    const home = node.siblings.homeSlot(lookup.key);
    if (!atHome && home !== undefined && home !== node.siblings.slot) {
      return { kind: 'sibling', slot: home };
    }
    await leaveRoom(node, lookup, signal);
    return await fetchOrFind(node, lookup, paced, signal);
  } catch (error) {
    return error instanceof CanopyError
      ? failed(error.code, error.retrySafe)
      : failed(messageOf(error).slice(0, 128), true);
  }
}

function lookupFor(node: TierNode, url: string, variant: PushVariant, pace: Pace): Lookup {
  const fields = Object.entries(variant.fields).flat();
  const received = readRequest({ method: 'GET', target: url, fields, encrypted: false });
  const site = node.sites.byHost(received.host);
  if (site === undefined) {
    throw new CanopyError('unknown-host', `No site has the host ${received.host}`);
  }
  const country = (): string => variant.country ?? node.countryOf('');
  const request = withClient(received, NO_CLIENT);
  const nobody = { inform: () => undefined };
  return { ...clientLookup(node, nobody, request, site, country), pace };
}

/** Waits while clients have much to ask of the parents. */
async function leaveRoom(node: TierNode, { site }: Lookup, signal: AbortSignal): Promise<void> {
  for (let waits = 0; node.engine.tree.isCrowded(site); waits++) {
    if (waits >= MAX_CROWDED) {
      throw new CanopyError('upstream-busy', 'Clients need the parents for themselves');
    }
    await delay(node.clock, CROWDED_MS);
    signal.throwIfAborted();
  }
}

async function fetchOrFind(
  { engine }: TierNode,
  lookup: Lookup,
  paced: Paced,
  signal: AbortSignal,
): Promise<Placed> {
  const exchange = { content: NO_CONTENT, signal };
  let bytes = 0;
  for (let fetches = 0; fetches < MAX_FETCHES; fetches++) {
    paced.begin();
    const found = engine.lookUp(lookup);
    const decision = engine.decide(lookup, found);
    const carried = { engine, lookup, found, decision, exchange };
    const { status, content, outcome } = await carryOut(carried);
    const reason = whyNot(status, outcome);
    const wasThere = isHit(outcome) || outcome.forwardStatus === 304;
    const isWhole = wasThere && typeof found !== 'string' && !isManifest(found);
    if (reason !== undefined || isWhole) {
      await discard(content);
      return reason ?? { kind: 'placed', fetched: fetches > 0 || !isHit(outcome), bytes };
    }
    const read = await drain(content, paced, signal);
    if (isHit(outcome)) return { kind: 'placed', fetched: fetches > 0, bytes };
    if (!wasThere) bytes += read;
    if (await isStored(engine, lookup)) return { kind: 'placed', fetched: true, bytes };
    // Purged on its way, or there was no room: the next look tells.
  }
  return failed('not-kept', false);
}

/** Whether what has come to its end is found, once it is written where it is to be. */
async function isStored(engine: CacheEngine, lookup: Lookup): Promise<boolean> {
  if (typeof engine.lookUp(lookup) !== 'string') return true;
  await engine.settled(lookup.key);
  return typeof engine.lookUp(lookup) !== 'string';
}

/** Why an answer is nothing to have stored, if it is not. */
function whyNot(status: number, outcome: Outcome): Placed | undefined {
  if (status >= 400) return failed(`status-${status}`, status >= 500 || status === 429);
  if (isHit(outcome)) return undefined;
  const { detail, reason, stored, forwardStatus, ttlSeconds = 0 } = outcome;
  if (detail === 'stale-if-error') return failed(detail, true);
  if (!stored && forwardStatus !== 304) return failed(detail ?? reason, false);
  // A parent that reaches none of its own had no better.
  return ttlSeconds < 0 ? failed('stale', true) : undefined;
}

const failed = (reason: string, isTransient: boolean): Placed => ({
  kind: 'failed',
  reason,
  isTransient,
});

type Content = readonly Buffer[] | AsyncIterable<Buffer>;

const isHeld = (content: Content): content is readonly Buffer[] => Array.isArray(content);

async function discard(content: Content): Promise<void> {
  if (!isHeld(content)) await content[Symbol.asyncIterator]().return?.();
}

/**
 * Reads to the end, for what comes in slices is fetched as it is read.
 * @returns its bytes
 */
async function drain(content: Content, paced: Paced, signal: AbortSignal): Promise<number> {
  if (isHeld(content)) return content.reduce((sum, { length }) => sum + length, 0);
  let bytes = 0;
  for await (const { length } of content) {
    bytes += length;
    await paced.upTo(bytes);
    signal.throwIfAborted();
  }
  // Content in slices ends without a word.
  signal.throwIfAborted();
  return bytes;
}

/** Paces each byte once: where it comes in, or where it is read if that was not paced. */
class Paced {
  readonly #pace: Pace | undefined;
  #bytes = 0;

  constructor(pace: Pace | undefined) {
    this.#pace = pace;
  }

  /** Content comes from its first byte. */
  begin(): void {
    this.#bytes = 0;
  }

  readonly pace: Pace = async (bytes) => {
    this.#bytes += bytes;
    await this.#pace?.(bytes);
  };

  async upTo(bytes: number): Promise<void> {
    if (bytes > this.#bytes) await this.pace(bytes - this.#bytes);
  }
}

const NO_CONTENT: AsyncIterable<Buffer> = {
  async *[Symbol.asyncIterator]() {
    // A push sends none.
  },
};
