import type { Clock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { normalizeAcceptEncoding } from '#core/http/accept-encoding.ts';
import { parseDeltaSeconds } from '#core/http/directives.ts';
import { type Fields, fieldValue, hasField, withoutFields } from '#core/http/fields.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import type { FillCounters } from '#core/telemetry/fill-counters.ts';
import { isTierField, TIER_FIELDS } from '#core/tree/tier-fields.ts';
import type { UpstreamRequest } from '#core/tree/tree.ts';
import { sharedFields } from './answer.ts';
import type { Backoffs } from './backoffs.ts';
import { Body } from './body.ts';
import type { Lookup } from './engine.ts';
import type { Fence } from './fence.ts';
import { type Arriving, Fill, type FillResult, type FillTable } from './fill.ts';
import { type FillBudget, Reservation } from './fill-budget.ts';
import { FillingBody } from './filling-body.ts';
import type { HitForMiss } from './hit-for-miss.ts';
import type { Marks } from './marks.ts';
import type { StoredObject } from './object.ts';
import { initialAgeMs } from './policy/freshness.ts';
import { responseFacts } from './policy/response.ts';
import { storability } from './policy/storability.ts';
import { freshenedFields } from './policy/update.ts';
import { unconditional, validationFields } from './policy/validation.ts';
import { variantSelector } from './policy/vary.ts';
import type { SpillRoom } from './spill-room.ts';
import type { ObjectStore } from './store.ts';

/** Where a fill gets its object from: the tree, or what stands before it. */
export interface FillSource {
  /** @throws CanopyError where no parent answers */
  fetch(lookup: Lookup, request: UpstreamRequest): Promise<UpstreamResponse>;
}

export interface FillerOptions {
  readonly clock: Clock;
  readonly store: ObjectStore;
  readonly source: FillSource;
  readonly fence: Fence;
  readonly fills: FillTable;
  readonly hitForMiss: HitForMiss;
  readonly refreshFailing: Backoffs;
  readonly counters: FillCounters;
  readonly budget: FillBudget;
  readonly spillRoom: SpillRoom | undefined;
  /** Keys that parents are to be told have changed. */
  readonly changed: Marks;
}

/** A fill, and whether the one who asked for it found it under way. */
export interface Joined {
  readonly fill: Fill;
  readonly collapsed: boolean;
}

/** Fetches objects into the store: one fetch for all who want one at the same time. */
export class Filler {
  readonly #options: FillerOptions;

  constructor(options: FillerOptions) {
    this.#options = options;
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
    const { fills, fence, clock } = this.#options;
    const { key, site, request, askingFence } = lookup;
    const known = stored ?? this.#options.store.lookup(key)[0];
    const vary = learntVary ?? known?.facts.vary ?? [];
    const selector = variantSelector(vary, request.fields);
    const behind = askingFence > fence.sequence;
    const underWay = fills.find(key, selector, behind ? askingFence : 0);
    // A fetch that began before the change is no answer to one who knows of it.
    if (underWay !== undefined && !lookup.changed) return { fill: underWay, collapsed: true };
    const asOf = Math.max(fence.sequence, askingFence);
    const fill = new Fill(
      {
        key,
        site: site.name,
        selector,
        requestFields: request.fields,
        asOf,
        behind: refreshesBehind,
        startedAtMs: clock.monotonicMs(),
      },
      // Deferred by a microtask, so that the fill is in the table before it can end.
      (self) => Promise.resolve().then(() => this.#run(self, lookup, stored, staleOnError)),
    );
    fills.add(fill);
    return { fill, collapsed: false };
  }

  /**
   * Renews an object with nobody waiting, unless that is under way, failed lately, or the site has
   * as many refreshes under way as it may.
   */
  refresh(lookup: Lookup, stored: StoredObject | undefined): void {
    const { fills, refreshFailing, counters } = this.#options;
    const { key, site } = lookup;
    if (refreshFailing.has(key)) return;
    if (fills.refreshes(site.name) >= site.cache.maxRefreshes) {
      counters.refreshesSkipped++;
      return;
    }
    const { fill, collapsed } = this.join(lookup, stored, true, undefined, true);
    if (collapsed) return;
    fill.result.then(letGoUnread, () => undefined);
  }

  async #run(
    fill: Fill,
    lookup: Lookup,
    stored: StoredObject | undefined,
    staleOnError: boolean,
  ): Promise<FillResult> {
    const { fills, refreshFailing } = this.#options;
    const fallback = staleOnError ? stored : undefined;
    const fail = (failure: number | CanopyError): FillResult | undefined => {
      refreshFailing.fail(fill.key);
      if (fallback === undefined) return undefined;
      fills.remove(fill);
      return { kind: 'stale-if-error', object: fallback, failure };
    };
    try {
      const response = await this.#fetch(fill, lookup, stored);
      this.#vouch(fill, response);
      if (response.status === 304 && stored !== undefined) {
        response.discard();
        const object = this.#freshen(fill, stored, response);
        return {
          kind: 'validated',
          object,
          cacheStatus: fieldValue(response.fields, 'cache-status'),
        };
      }
      const result = response.status >= 500 ? fail(response.status) : undefined;
      if (result !== undefined) {
        response.discard();
        return result;
      }
      return this.#receive(fill, lookup, response);
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

  #fetch(fill: Fill, lookup: Lookup, stored: StoredObject | undefined): Promise<UpstreamResponse> {
    const { site, key, request } = lookup;
    return this.#options.source.fetch(lookup, {
      site,
      key,
      method: 'GET',
      target: request.target,
      fields: [
        ...everybodysFields(lookup.upstreamFields()),
        ...(stored === undefined ? [] : validationFields(stored.facts, stored.fields)),
      ],
      host: request.authority,
      content: undefined,
      fence: fill.asOf,
      changed: lookup.changed || this.#options.changed.has(key),
      signal: undefined,
    });
  }

  /** A parent of ours says up to which fence its answer holds; that may be later than our start. */
  #vouch(fill: Fill, { parent, fields }: UpstreamResponse): void {
    if (parent.tier === 'customer') return;
    const vouched = parseDeltaSeconds(fieldValue(fields, TIER_FIELDS.fence.toLowerCase()));
    if (vouched !== undefined) fill.asOf = Math.max(fill.asOf, vouched);
  }

  #freshen(fill: Fill, stored: StoredObject, response: UpstreamResponse): StoredObject {
    const { store, fills, refreshFailing } = this.#options;
    const { requestedAt, receivedAt } = response;
    const updated = freshenedFields(stored.fields, keptFields(response.fields));
    // A 304 that repeats no Age still spent it on the way: its own counts, not the merged fields'.
    const own = responseFacts(304, response.fields, receivedAt);
    const facts = responseFacts(stored.facts.status, updated, receivedAt);
    const object: StoredObject = {
      ...stored,
      fields: sharedFields({ fields: updated, facts }),
      facts,
      initialAgeMs: initialAgeMs({ ...facts, ageSeconds: own.ageSeconds }, requestedAt, receivedAt),
      receivedAt,
      asOf: fill.asOf,
      softPurgedAt: undefined,
    };
    if (fill.purge === undefined) store.put(object);
    refreshFailing.clear(fill.key);
    fills.remove(fill);
    return object;
  }

  #receive(fill: Fill, lookup: Lookup, response: UpstreamResponse): Arriving {
    const { fills, hitForMiss, refreshFailing, counters, spillRoom } = this.#options;
    const { status, requestedAt, receivedAt } = response;
    const fields = withoutFields(response.fields, isTierField);
    const facts = responseFacts(status, fields, receivedAt);
    const size = parseDeltaSeconds(fieldValue(fields, 'content-length'));
    const verdict = storability(
      { method: 'GET', authorized: hasField(lookup.request.fields, 'authorization') },
      facts,
      size,
      lookup.site.cache,
    );
    const storable = verdict === 'storable';
    const reservation = new Reservation(this.#options.budget);
    const kept = storable && reservation.cover(size ?? 0);
    if (!storable) {
      // It takes the place of what was stored; but a 5xx tells nothing of the object itself.
      if (status < 500) {
        hitForMiss.set(fill.key);
        this.#options.store.delete(fill.key);
      }
      fills.closeToOthers(fill);
    } else hitForMiss.clear(fill.key);
    if (storable && !kept) {
      counters.notKept++;
      fills.closeToOthers(fill);
    }
    if (status < 500) refreshFailing.clear(fill.key);
    const arriving: Arriving = {
      kind: 'arriving',
      status,
      fields,
      size,
      facts,
      storability: storable && !kept ? 'no-room' : verdict,
      initialAgeMs: initialAgeMs(facts, requestedAt, receivedAt),
      receivedAt,
      body: new FillingBody(kept, () => response.discard(), spillRoom),
    };
    void this.#pump(fill, lookup, arriving, response, reservation);
    return arriving;
  }

  /** Moves the content from the parent to those who read it, and to the store at its end. */
  async #pump(
    fill: Fill,
    lookup: Lookup,
    arriving: Arriving,
    response: UpstreamResponse,
    reservation: Reservation,
  ): Promise<void> {
    const { fills, hitForMiss, counters } = this.#options;
    const { body } = arriving;
    const { maxObjectBytes } = lookup.site.cache;
    try {
      for await (const chunk of response.body) {
        body.append(chunk);
        if (body.kept && body.size > maxObjectBytes) {
          hitForMiss.set(fill.key);
          fills.closeToOthers(fill);
          body.letGo();
        }
        if (body.kept && !reservation.cover(body.size)) {
          counters.notKept++;
          fills.closeToOthers(fill);
          body.letGo();
        }
        if (!body.kept) reservation.giveBack();
        await body.room();
      }
      if (body.kept) this.#store(fill, arriving);
      body.complete();
    } catch (error) {
      body.fail(error instanceof Error ? error : new Error(String(error)));
    } finally {
      reservation.giveBack();
      fills.remove(fill);
    }
  }

  #store(fill: Fill, arriving: Arriving): void {
    const { facts, initialAgeMs: ageMs, receivedAt, body } = arriving;
    if (fill.purge?.mode === 'hard') return;
    this.#options.store.put({
      key: fill.key,
      site: fill.site,
      selector: variantSelector(facts.vary, fill.requestFields),
      fields: keptFields(sharedFields(arriving)),
      facts,
      body: new Body(body.chunks),
      initialAgeMs: ageMs,
      receivedAt,
      asOf: fill.asOf,
      softPurgedAt: fill.purge?.at,
    });
  }
}

/** Content that is neither kept nor read would wait for a reader that does not come. */
function letGoUnread(result: FillResult): void {
  if (result.kind === 'arriving' && !result.body.kept) void result.body.read().return?.();
}

/** What tells of one answer's way here, not of the object. */
const keptFields = (fields: Fields): string[] =>
  withoutFields(fields, (name) => name === 'age' || name === 'cache-status' || isTierField(name));

/**
 * A request on behalf of everybody: no conditions of one client, and content codings in the one
 * spelling that variants are told apart by.
 */
function everybodysFields(fields: Fields): string[] {
  const shared = withoutFields(unconditional(fields), (name) => name === 'accept-encoding');
  const codings = normalizeAcceptEncoding(fieldValue(fields, 'accept-encoding'));
  if (codings !== undefined) shared.push('Accept-Encoding', codings);
  return shared;
}
