import type { Clock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { Fields } from '#core/http/fields.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import type { FillCounters } from '#core/telemetry/fill-counters.ts';
import type { UpstreamRequest } from '#core/tree/tree.ts';
import type { Admission } from './admission.ts';
import type { Backoffs } from './backoffs.ts';
import type { Lookup } from './engine.ts';
import { everybodysFields } from './everybodys-fields.ts';
import type { Fence } from './fence.ts';
import { Fill, type FillResult, type FillTable } from './fill.ts';
import type { HitForMiss } from './hit-for-miss.ts';
import type { Marks } from './marks.ts';
import { isPartial, sizeOf, type StoredObject } from './object.ts';
import { MAX_PART_BYTES, Parts } from './parts.ts';
import { headVerdict } from './policy/head.ts';
import { probeFor } from './policy/slicing.ts';
import { validationFields } from './policy/validation.ts';
import { unitedVary, variantSelector } from './policy/vary.ts';
import type { Receiver } from './receiver.ts';
import type { Store } from './store.ts';

/** Where a fill gets its object from: the tree, or what stands before it. */
export interface FillSource {
  /** @throws CanopyError where no parent answers */
  fetch(lookup: Lookup, request: UpstreamRequest): Promise<UpstreamResponse>;
  /** Whether this thread asks the tree for the object on behalf of all threads of its node. */
  isHome(lookup: Lookup): boolean;
  /** Threads of this node, this one included. */
  readonly threads: number;
}

export interface FillerOptions {
  readonly clock: Clock;
  readonly store: Store;
  readonly source: FillSource;
  readonly fence: Fence;
  readonly lease: { ended(): boolean };
  readonly fills: FillTable;
  readonly admission: Admission;
  readonly receiver: Receiver;
  readonly hitForMiss: HitForMiss;
  readonly refreshFailing: Backoffs;
  readonly counters: FillCounters;
  /** Keys that parents are to be told have changed. */
  readonly changed: Marks;
  /** See `CacheEngine.caughtUp`. */
  readonly caughtUp: (
    site: Lookup['site'],
    response: UpstreamResponse,
  ) => Promise<UpstreamResponse>;
}

/** A fill, and whether the one who asked for it found it under way. */
export interface Joined {
  readonly fill: Fill;
  readonly collapsed: boolean;
}

/** What a fill asks for. */
interface Fetch extends Pick<UpstreamRequest, 'orHeld'> {
  /** What is to be validated. */
  readonly stored?: StoredObject | undefined;
  /** Further fields. */
  readonly further?: Fields;
  readonly method?: 'GET' | 'HEAD';
}

/** Fetches objects into the store: one fetch for all who want one at the same time. */
export class Filler {
  readonly #options: FillerOptions;
  readonly #parts: Parts;

  constructor(options: FillerOptions) {
    this.#options = options;
    this.#parts = new Parts(options);
  }

  /**
   * The fill of an object: the one under way, or a new one that outlives whoever started it.
   * @param stored what to validate, and to fall back on where `staleOnError`
   * @param learntVary what the object varies by, where it is not stored but was just seen
   */
  join(
    lookup: Lookup,
    stored: StoredObject | undefined,
    staleOnError: boolean,
    learntVary?: readonly string[],
    refreshesBehind = false,
  ): Joined {
    const { store, fills, fence, clock } = this.#options;
    const { key, keySelector, site, request, askingFence } = lookup;
    const known = stored ?? store.lookup(key)[0];
    const selector = this.#selectorOf(lookup, known, learntVary);
    let underWay = this.#find(lookup, selector);
    if (underWay !== undefined && !this.#isJoinable(lookup, underWay)) {
      fills.closeToOthers(underWay);
      underWay = undefined;
    }
    // A fetch that began before the change is no answer to one who knows of it.
    if (underWay !== undefined && !lookup.changed) {
      if (lookup.pace === undefined) underWay.pace = undefined;
      return { fill: underWay, collapsed: true };
    }
    if (underWay !== undefined) {
      const mark = { sequence: Infinity, mode: 'hard' as const, at: clock.now() };
      fills.purge((other) => other.key === key, mark);
    }
    const asOf = Math.max(fence.sequence, askingFence);
    const fill = new Fill(
      {
        key,
        site: site.name,
        keySelector,
        selector,
        requestFields: request.fields,
        asOf,
        behind: refreshesBehind,
        startedAtMs: clock.monotonicMs(),
        pace: lookup.pace,
      },
      // Deferred by a microtask, so that the fill is in the table before it can end.
      (self) => Promise.resolve().then(() => this.#run(self, lookup, stored, staleOnError)),
    );
    fills.add(fill);
    return { fill, collapsed: false };
  }

  /** The fill that `join` would share. Starts none. @param known what is stored under the key */
  underWay(lookup: Lookup, known: StoredObject | undefined): Fill | undefined {
    const fill = this.#find(lookup, this.#selectorOf(lookup, known, undefined));
    return fill !== undefined && this.#isJoinable(lookup, fill) && !lookup.changed
      ? fill
      : undefined;
  }

  #selectorOf(
    { key, keySelector, request }: Lookup,
    known: StoredObject | undefined,
    learntVary: readonly string[] | undefined,
  ): string {
    const { hitForMiss } = this.#options;
    const vary = learntVary ?? unitedVary(known?.facts.vary ?? [], hitForMiss.varyOf(key));
    return keySelector + variantSelector(vary, request.fields);
  }

  #find({ key, askingFence }: Lookup, selector: string): Fill | undefined {
    const { fills, fence } = this.#options;
    return fills.find(key, selector, askingFence > fence.sequence ? askingFence : 0);
  }

  #isJoinable({ site }: Lookup, { staleAt }: Fill): boolean {
    const { clock, lease } = this.#options;
    const isStale = staleAt !== undefined && clock.now() > staleAt;
    // What began before this request may be from before a purge of which this node hears nothing.
    const isBlind = site.onLeaseEnd === 'revalidate' && lease.ended();
    return !isStale && !isBlind;
  }

  /**
   * Renews an object with nobody waiting, unless that is under way, failed lately, or the site has
   * as many refreshes under way as it may.
   */
  refresh(lookup: Lookup, stored: StoredObject): void {
    const { refreshFailing, counters } = this.#options;
    if (refreshFailing.has(stored)) return;
    if (this.isBusy(lookup.site)) {
      counters.refreshesSkipped++;
      return;
    }
    const { fill, collapsed } = this.join(lookup, stored, true, undefined, true);
    if (collapsed) return;
    fill.result.then(letGoUnread, () => undefined);
  }

  /** Whether a site has as many refreshes under way as it may. */
  isBusy({ name, cache }: Lookup['site']): boolean {
    const { fills, source } = this.#options;
    // The limit is the node's, of which each thread has its share.
    return fills.refreshes(name) >= Math.ceil(cache.maxRefreshes / source.threads);
  }

  async #run(
    fill: Fill,
    lookup: Lookup,
    stored: StoredObject | undefined,
    staleOnError: boolean,
  ): Promise<FillResult> {
    const { fills, admission, receiver, refreshFailing } = this.#options;
    const variant = stored ?? fill;
    const fallback = staleOnError ? stored : undefined;
    const orHeld = fallback === undefined;
    const fail = (failure: number | CanopyError): FillResult | undefined => {
      refreshFailing.fail(variant);
      if (fallback === undefined) return undefined;
      admission.learn(fill, fallback.facts);
      fills.remove(fill);
      return { kind: 'stale-if-error', object: fallback, failure };
    };
    try {
      const confirmed = stored && (await this.#byHead(fill, lookup, stored, orHeld));
      if (confirmed !== undefined && stored !== undefined) {
        refreshFailing.clear(variant);
        return receiver.validated(fill, lookup, stored, confirmed);
      }
      const completed =
        stored === undefined
          ? await this.#parts.complete(fill, lookup, (further) =>
              this.#fetch(fill, lookup, { further, orHeld }),
            )
          : undefined;
      const { method, fields } = lookup.request;
      const probe =
        stored === undefined && completed === undefined
          ? probeFor(method, fields, lookup.site.cache, MAX_PART_BYTES)
          : undefined;
      const range = probe === undefined ? [] : ['Range', probe.range];
      let response =
        completed ?? (await this.#fetch(fill, lookup, { stored, further: range, orHeld }));
      // A 200 to a request for a part comes of a server that knows no ranges, RFC 9110 §14.2.
      const hasRanges = probe === undefined || response.status !== 200;
      if (probe !== undefined && (response.status === 206 || response.status === 416)) {
        const found =
          receiver.part(fill, lookup, response, probe) ??
          (probe.isOwn ? await this.#takePart(fill, lookup, response) : undefined);
        if (found !== undefined && 'kind' in found) {
          refreshFailing.clear(variant);
          return found;
        }
        // Not large, or nothing that could be kept in parts.
        if (found === undefined) response.discard();
        response = found ?? (await this.#fetch(fill, lookup, { stored, orHeld }));
      }
      const result = response.status >= 500 ? fail(response.status) : undefined;
      if (result !== undefined) {
        response.discard();
        return result;
      }
      if (response.status < 500) refreshFailing.clear(variant);
      return response.status === 304 && stored !== undefined
        ? receiver.validated(fill, lookup, stored, response)
        : receiver.whole(fill, lookup, response, hasRanges);
    } catch (error) {
      const failure =
        error instanceof CanopyError
          ? error
          : new CanopyError('internal-error', messageOf(error), { cause: error });
      const result = fail(failure);
      if (result !== undefined) return result;
      fills.remove(fill);
      throw failure;
    }
  }

  /**
   * Asks by HEAD whether what is stored still holds, for a client that wants no content: a parent
   * that knows no conditions then sends none either (RFC 9111 §4.3.5).
   * @returns `undefined` where that was not to be learnt so
   */
  async #byHead(
    fill: Fill,
    lookup: Lookup,
    stored: StoredObject,
    orHeld: boolean,
  ): Promise<UpstreamResponse | undefined> {
    const { facts, fields } = stored;
    const isApt = lookup.request.method === 'HEAD' && facts.status === 200 && !isPartial(stored);
    if (!isApt || fill.behind || validationFields(facts, fields).length === 0) return undefined;
    const response = await this.#fetch(fill, lookup, { stored, orHeld, method: 'HEAD' });
    const holds =
      response.status === 304 ||
      (response.status === 200 && headVerdict(fields, sizeOf(stored), response.fields) === 'same');
    if (holds) return response;
    response.discard();
    return undefined;
  }

  async #takePart(
    fill: Fill,
    lookup: Lookup,
    response: UpstreamResponse,
  ): Promise<FillResult | UpstreamResponse | undefined> {
    const { fills, hitForMiss, receiver } = this.#options;
    receiver.vouch(fill, response);
    const found = await this.#parts.take(fill, lookup, response);
    if (found !== undefined && 'kind' in found) {
      hitForMiss.clear(lookup);
      fills.remove(fill);
    }
    return found;
  }

  async #fetch(
    fill: Fill,
    lookup: Lookup,
    { stored, further = [], method = 'GET', orHeld }: Fetch,
  ): Promise<UpstreamResponse> {
    const { site, key, keyedBy, request } = lookup;
    const { source, receiver, caughtUp } = this.#options;
    const response = await source.fetch(lookup, {
      site,
      key,
      keyedBy,
      method,
      target: request.target,
      fields: [
        ...everybodysFields(lookup.upstreamFields()),
        ...(stored === undefined ? [] : validationFields(stored.facts, stored.fields)),
        ...further,
      ],
      // Without the port, for the answer is everybody's whatever port they asked at.
      host: request.host,
      content: undefined,
      fence: fill.asOf,
      changed: lookup.changed || this.#options.changed.has(key),
      orHeld,
      signal: undefined,
      onInterim: (status, fields) => lookup.client.inform(status, fields),
    });
    // Before it waits for the very purge that does not concern it.
    receiver.vouch(fill, response);
    return caughtUp(site, response);
  }
}

/** Content that is neither kept nor read would wait for a reader that does not come. */
function letGoUnread(result: FillResult): void {
  if (result.kind === 'arriving' && !result.body.kept) void result.body.read().return?.();
}
