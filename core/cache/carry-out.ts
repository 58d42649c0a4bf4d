import { CanopyError } from '#core/errors.ts';
import type { Fields } from '#core/http/fields.ts';
import { isHit, type Outcome } from '#core/telemetry/cache-status.ts';
import {
  type Answer,
  answerFromArriving,
  answerFromStored,
  answerFromStreamed,
  answerFromUpstream,
  arrivingFields,
} from './answer.ts';
import { type Carried, outcomeOf } from './carried.ts';
import { clientDirectives } from './client-directives.ts';
import { BodyLost, type FileBody } from './disk/file-body.ts';
import type { CacheEngine } from './engine.ts';
import { type AskRange, answerFromFile } from './file-answer.ts';
import type { Arriving, Fill, FillResult } from './fill.ts';
import { isHeld, isManifest, type Manifest, type StoredObject, suffices } from './object.ts';
import { type Action, currentAgeMs, type Decision, type StoredState } from './policy/decide.ts';
import { freshness } from './policy/freshness.ts';
import type { Storability } from './policy/storability.ts';
import { variantSelector } from './policy/vary.ts';
import type { AsIs, Shaped } from './shaping.ts';
import { askOrigin, pass } from './pass.ts';
import { type NoResult, waitFor } from './waiting.ts';
import { triesOf } from '#core/tree/walk.ts';
import { answerFromSlices } from './slices/answer.ts';
import { GenerationChanged } from './slices/fetch.ts';

const BY_ACTION: Record<Action, (carried: Carried) => Answer | Promise<Answer>> = {
  serve: serve,
  'refresh-behind': refreshBehind,
  revalidate: fillOrWait,
  fill: fillOrWait,
  pass: pass,
  refuse: refuse,
};

/**
 * Does what was decided.
 * @throws CanopyError where no parent answers and nothing stored may be served
 */
export function carryOut(carried: Carried): Answer | Promise<Answer> {
  return BY_ACTION[carried.decision.action](carried);
}

function serve(carried: Carried): Answer | Promise<Answer> {
  const object = storedOf(carried);
  if (object === undefined) throw new Error('A decision to serve needs a stored object');
  // Slices are at the home.
  if (isManifest(object) && isHeldAtHome(carried)) return fromHome(carried);
  // Looked up and checked in this same turn of the event loop.
  return answerStored(carried, object, outcomeOf(carried, {}), carried.engine.fence.sequence);
}

function refreshBehind(carried: Carried): Answer | Promise<Answer> {
  const object = storedOf(carried);
  if (object !== undefined) carried.engine.filler.refresh(carried.lookup, object);
  return serve(carried);
}

async function fillOrWait(carried: Carried): Promise<Answer> {
  const { engine, lookup, decision } = carried;
  const stored = decision.reason === 'fence-behind' ? undefined : storedOf(carried);
  let vary: readonly string[] | undefined;
  for (let tries = 0; tries < MAX_JOINS; tries++) {
    const joinedAtFence = engine.fence.sequence;
    const { fill, collapsed } = engine.filler.join(lookup, stored, decision.staleOnError, vary);
    const result = await waited(carried, fill, collapsed);
    if ('outcome' in result) return result;
    // Only its header section has told that a purge concerns it, which this request comes after.
    if (collapsed && fill.purge !== undefined && fill.asOf < joinedAtFence) continue;
    if (collapsed && !suits(result, fill, carried)) {
      vary = sharedVary(result);
      if (vary !== undefined) continue;
      break;
    }
    const asOf = fill.purge === undefined ? Math.max(fill.asOf, engine.fence.sequence) : fill.asOf;
    if (result.kind === 'arriving') {
      const storable = result.storability === 'storable';
      const outcome = outcomeOf(carried, {
        ttlSeconds: storable ? ttlSeconds(result, carried) : undefined,
        forwardStatus: result.status,
        collapsed,
        stored: storable,
        tries: result.tries,
        ...(storable ? {} : { detail: result.storability }),
      });
      return answerArriving(carried, result, collapsed, outcome, asOf);
    }
    if (result.kind === 'part' && !suffices(result.object, lookup.request)) {
      // Not the part that was asked for; yet the parent has answered so.
      return {
        status: result.status,
        fields: result.fields,
        content: result.object.body.chunks,
        outcome: outcomeOf(carried, { collapsed, ...endOf(result) }),
        asOf,
      };
    }
    const ttl = ttlSeconds(result.object, carried);
    const outcome = outcomeOf(carried, { ttlSeconds: ttl, collapsed, ...endOf(result) });
    return answerStored(carried, result.object, outcome, asOf, parentStatus(result));
  }
  return pass(carried);
}

/** The fill's result; or what one gets who cannot wait for it, or no longer. */
async function waited(
  carried: Carried,
  fill: Fill,
  collapsed: boolean,
): Promise<FillResult | Answer> {
  const { engine, lookup, decision } = carried;
  const { maxWaiters, waitTimeoutMs } = lookup.site.cache;
  const limit = (limitMs: number) => ({ collapsed, maxWaiters, limitMs });
  if (decision.staleOnError && SLOW_IS_FAILED.has(decision.reason)) {
    const slowAtMs = fill.startedAtMs + lookup.site.upstream.staleAfterMs;
    const result = await waitFor(fill, engine.clock, limit(slowAtMs - engine.clock.monotonicMs()));
    if (typeof result !== 'string') return result;
    const answer = await staleInstead(carried, 'stale-while-slow');
    if (answer !== undefined) {
      engine.counters.staleWhileSlow++;
      return answer;
    }
  }
  const result = await waitFor(fill, engine.clock, limit(waitTimeoutMs));
  if (typeof result !== 'string') return result;
  count(engine, result);
  const answer = decision.staleOnError ? await staleInstead(carried, 'stale-if-error') : undefined;
  if (answer !== undefined) return answer;
  throw new CanopyError('unavailable', NO_RESULT[result]);
}

/** Whoever asked for more than what is stored waits for it. */
const SLOW_IS_FAILED: ReadonlySet<Decision['reason']> = new Set(['stale', 'soft-purged']);

const NO_RESULT: Record<NoResult, string> = {
  full: 'Too many requests wait for this object',
  late: 'No parent has answered while this request waited',
};

function count({ counters }: CacheEngine, why: NoResult): void {
  if (why === 'full') counters.waitersRefused++;
  else counters.waitersTimedOut++;
}

/** What is stored, if it may still stand in: it may have been purged while the request waited. */
async function staleInstead(carried: Carried, detail: string): Promise<Answer | undefined> {
  const { engine, lookup } = carried;
  const found = engine.lookUp(lookup);
  if (typeof found === 'string' || !engine.decide(lookup, found).staleOnError) return undefined;
  return answerStored(carried, found, outcomeOf(carried, { detail }), engine.fence.sequence);
}

const NO_FIELDS: Fields = [];

/** Serves what is stored, in the form that the client is to have. @param added to the answer's fields */
function answerStored(
  carried: Carried,
  object: StoredObject,
  outcome: Outcome,
  asOf: number,
  added = NO_FIELDS,
): Answer | Promise<Answer> {
  const { engine, lookup } = carried;
  const { shaping } = lookup;
  if (shaping === undefined) return answerAsIs(carried, object, outcome, asOf, added);
  const answerShaped = (shaped: Shaped): Answer | Promise<Answer> => {
    if (shaped === 'ask-origin') return askOrigin(carried);
    if (shaped.kind === 'streamed') {
      const age = Math.floor(currentAgeMs(object, engine.now()) / 1000);
      const answer = answerFromStreamed(shaped);
      const fields = [...answer.fields, 'Age', String(age), ...added];
      return { ...answer, fields, outcome, asOf };
    }
    const { request } = shaped;
    const asked =
      request === lookup.request ? carried : { ...carried, lookup: { ...lookup, request } };
    return answerAsIs(asked, shaped.object, outcome, asOf, added);
  };
  const shaped = shaping.stored(engine, lookup, object);
  return shaped instanceof Promise ? shaped.then(answerShaped) : answerShaped(shaped);
}

/** Serves what is on its way, in the form that the client is to have. */
function answerArriving(
  carried: Carried,
  arriving: Arriving,
  collapsed: boolean,
  outcome: Outcome,
  asOf: number,
): Answer | Promise<Answer> {
  const { engine, lookup } = carried;
  const { shaping, request } = lookup;
  const fields = arrivingFields(arriving, collapsed, engine.now());
  const answerShaped = (shaped: Shaped | AsIs): Answer | Promise<Answer> => {
    if (shaped === 'ask-origin') return askOrigin(carried);
    if (shaped.kind === 'whole') {
      return answerAsIs(
        { ...carried, lookup: { ...lookup, request: shaped.request } },
        shaped.object,
        outcome,
        asOf,
        NO_FIELDS,
      );
    }
    const answer =
      shaped.kind === 'streamed'
        ? answerFromStreamed(shaped)
        : answerFromArriving(arriving, request, shaped.fields);
    return { ...answer, outcome, asOf };
  };
  if (shaping === undefined) return answerShaped({ kind: 'as-is', fields });
  const shaped = shaping.arriving(engine, lookup, arriving, fields);
  return shaped instanceof Promise ? shaped.then(answerShaped) : answerShaped(shaped);
}

/** Serves a representation, wherever its content is. @param added to the answer's fields */
function answerAsIs(
  carried: Carried,
  object: StoredObject,
  outcome: Outcome,
  asOf: number,
  added: Fields,
): Answer | Promise<Answer> {
  if (isManifest(object)) return answerSliced(carried, object, outcome, asOf, added);
  if (!isHeld(object)) {
    return answerRead(carried, object as StoredObject<FileBody>, outcome, asOf, added);
  }
  const { engine, lookup } = carried;
  const answer = answerFromStored(object, lookup.request, engine.now());
  const fields = added.length === 0 ? answer.fields : [...answer.fields, ...added];
  return { ...answer, fields, outcome, asOf };
}

/** Serves an object from disk. Where nothing of it can be read, the request starts anew without it, once. */
async function answerRead(
  carried: Carried,
  object: StoredObject<FileBody>,
  outcome: Outcome,
  asOf: number,
  added: Fields,
): Promise<Answer> {
  const { engine, lookup } = carried;
  const askRange: AskRange | undefined =
    clientDirectives(lookup)?.onlyIfCached === true || object.made !== undefined
      ? undefined
      : (range) => engine.fetchRange(object, range, lookup);
  try {
    const answer = await answerFromFile(object, lookup.request, engine.now(), askRange);
    return { ...answer, fields: [...answer.fields, ...added], outcome, asOf };
  } catch (error) {
    if (!(error instanceof BodyLost) || carried.isStartedAnew === true) throw error;
    const found = 'uri-miss';
    const decision = engine.decide(lookup, found);
    return carryOut({ ...carried, found, decision, isStartedAnew: true });
  }
}

/** A variant learnt only from the answer may send a waiter back once; then it goes alone. */
const MAX_JOINS = 3;

/**
 * Serves a large object from its slices. Where its first bytes show that the origin has another
 * version by now, the request starts anew with that, once.
 * @param added to the answer's fields
 */
async function answerSliced(
  carried: Carried,
  manifest: Manifest,
  outcome: Outcome,
  asOf: number,
  added: Fields,
): Promise<Answer> {
  const { engine, lookup, exchange } = carried;
  try {
    const now = engine.now();
    const { source, tries, ...answer } = await answerFromSlices(
      engine.slices,
      manifest,
      lookup,
      exchange.signal,
      now,
    );
    return {
      ...answer,
      fields: [...answer.fields, ...added],
      sliced: manifest.sliced,
      outcome: isHit(outcome) && source !== 'stored' ? partial(outcome, source, tries) : outcome,
      asOf,
    };
  } catch (error) {
    if (!(error instanceof GenerationChanged) || carried.isStartedAnew === true) throw error;
    const reason = isHit(outcome) ? 'partial' : outcome.reason;
    const decision: Decision = {
      action: 'fill',
      reason,
      ttlSeconds: undefined,
      staleOnError: false,
    };
    return fillOrWait({ ...carried, found: 'uri-miss', decision, isStartedAnew: true });
  }
}

/** RFC 9211 §2.2: the object was there, but not all that was asked of it. */
const partial = (
  outcome: Outcome,
  source: 'joined' | 'fetched',
  tries: Outcome['tries'],
): Outcome => ({
  ...outcome,
  action: 'fill',
  reason: 'partial',
  forwardStatus: source === 'fetched' ? 206 : undefined,
  stored: source === 'fetched',
  collapsed: source === 'joined',
  tries,
});

/** What a shared answer varies by. */
function sharedVary(result: FillResult): readonly string[] | undefined {
  if (result.kind === 'sliced' || result.kind === 'part') return result.object.facts.vary;
  const isShared = result.kind === 'arriving' && SHARED.has(result.storability);
  return isShared ? result.facts.vary : undefined;
}

/** Whether the answer to another's request answers this one too. */
function suits(result: FillResult, fill: Fill, { lookup }: Carried): boolean {
  if (result.kind !== 'arriving' && !suffices(result.object, lookup.request)) return false;
  if (result.kind === 'validated') return result.shared;
  if (result.kind === 'stale-if-error') return true;
  const vary = sharedVary(result);
  if (vary === undefined || (result.kind === 'arriving' && !result.body.joinable)) return false;
  return variantSelector(vary, lookup.request.fields) === variantSelector(vary, fill.requestFields);
}

const SHARED: ReadonlySet<Storability> = new Set(['storable', 'no-room']);

function endOf(result: Exclude<FillResult, { kind: 'arriving' }>): Partial<Outcome> {
  if (result.kind !== 'stale-if-error') {
    const { kind, status, tries } = result;
    return { forwardStatus: status, stored: kind !== 'validated', tries };
  }
  return typeof result.failure === 'number'
    ? { forwardStatus: result.failure, detail: 'stale-if-error' }
    : { detail: 'stale-if-error', tries: triesOf(result.failure) };
}

/** Freshness left of what is served, which is not what was found (RFC 9211 §2.4). */
function ttlSeconds(
  served: Pick<StoredState, 'facts' | 'initialAgeMs' | 'receivedAt'>,
  { engine, lookup }: Carried,
): number {
  const { freshForMs } = freshness(
    served.facts,
    lookup.site.cacheFor(lookup.request.target, served.facts),
  );
  return Math.ceil((freshForMs - currentAgeMs(served, engine.now())) / 1000);
}

/** The parent whose header section is not passed on was asked too, so its `Cache-Status` goes along (RFC 9211 §2). */
const parentStatus = (result: FillResult): Fields =>
  result.kind !== 'arriving' && result.kind !== 'stale-if-error' && result.cacheStatus !== undefined
    ? ['Cache-Status', result.cacheStatus]
    : [];

function refuse(carried: Carried): Promise<Answer> {
  const { decision } = carried;
  if (isHeldAtHome(carried)) return fromHome(carried);
  throw new CanopyError('only-if-cached', `Nothing stored may be served: ${decision.reason}`);
}

/** Whether another thread of the node may hold what alone is wanted. */
const isHeldAtHome = ({ engine, lookup }: Carried): boolean =>
  lookup.heldOnly === true && !engine.source.isHome(lookup);

/** What the object's home thread holds. @throws CanopyError `only-if-cached` */
async function fromHome(carried: Carried): Promise<Answer> {
  const { engine, lookup } = carried;
  const { site, key, keyedBy, request, askingFence } = lookup;
  const response = await engine.source.fetch(lookup, {
    site,
    key,
    keyedBy,
    method: request.method,
    target: request.target,
    fields: lookup.upstreamFields(),
    host: request.host,
    content: undefined,
    fence: Math.max(askingFence, engine.fence.sequence),
    changed: lookup.changed,
    signal: undefined,
  });
  return {
    ...answerFromUpstream(response),
    outcome: outcomeOf(carried, { action: 'serve', detail: 'stale-if-error' }),
    asOf: askingFence,
  };
}

const storedOf = ({ found }: Carried): StoredObject | undefined =>
  typeof found === 'string' ? undefined : found;
