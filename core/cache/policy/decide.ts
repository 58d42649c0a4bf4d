import type { CacheSettings } from '#core/contract/cache-settings.ts';
import type { Site } from '#core/contract/site.ts';
import type { RequestDirectives } from '#core/http/directives.ts';
import { freshness, staleWindows } from './freshness.ts';
import type { ResponseFacts } from './response.ts';

/** What to do with a request. */
export type Action =
  /** Answer from the cache. */
  | 'serve'
  /** Answer from the cache at once; renew what is stored meanwhile. */
  | 'refresh-behind'
  /** Ask a parent whether what is stored still holds; answer after. */
  | 'revalidate'
  /** Fetch the object for all who want it, or wait with them. */
  | 'fill'
  /** Hand the request to a parent for this client alone. */
  | 'pass'
  /** Answer without a parent, though nothing stored will do. */
  | 'refuse';

/** Why. The words appear in `Cache-Status`, logs, metrics and `explain`. */
export type Reason =
  /** Within its freshness lifetime, RFC 9111 §4.2. */
  | 'fresh'
  /** Fresh and in demand, but so near its end that it is renewed already. */
  | 'refresh-ahead'
  /** Fresh, but purges may have been missed since the lease ended; the site says to serve on. */
  | 'fresh-lease-ended'
  /** Within the window of RFC 5861 §3. */
  | 'stale-while-revalidate'
  /** A parent has just failed, and the window of RFC 5861 §4 is open. */
  | 'stale-if-error'
  /** Purged softly, and renewed when the site's budget for that allows. */
  | 'refill-limited'
  /** The client takes it this stale, RFC 9111 §5.2.1.2. */
  | 'max-stale'
  /** Nothing is stored under the key. */
  | 'uri-miss'
  /** Only other variants are stored. */
  | 'vary-miss'
  /** Only another part of the object is stored; of one in slices this is learnt while it is served. */
  | 'partial'
  /** What is stored was purged. */
  | 'purged'
  /** What is stored was purged softly. */
  | 'soft-purged'
  /** This node has not yet heard of purges that the asking node has heeded. */
  | 'fence-behind'
  /** Purges may have been missed since the lease ended; the site says to revalidate. */
  | 'lease-ended'
  /** Past its freshness lifetime. */
  | 'stale'
  /** The origin wants every use validated, RFC 9111 §5.2.2.4. */
  | 'no-cache'
  /** The node that asks has seen the object changed by an unsafe method, RFC 9111 §4.4. */
  | 'changed'
  /** The client's own directives ask for more, RFC 9111 §5.2.1. */
  | 'request'
  /** An answer from the cache is wanted or none, RFC 9111 §5.2.1.7. */
  | 'only-if-cached'
  /** The method is not one that caches answer. */
  | 'method'
  /** The request would switch protocols. */
  | 'upgrade'
  /** The request carries content, which is no part of the key. */
  | 'request-content'
  /** An answer to this key was lately found uncacheable, so nobody waits for another. */
  | 'hit-for-miss';

export interface Decision {
  readonly action: Action;
  readonly reason: Reason;
  /** Seconds of freshness left of what is stored, negative once stale; `ttl` of RFC 9211 §2.6. */
  readonly ttlSeconds: number | undefined;
  /** What is stored may be served should every parent fail. */
  readonly staleOnError: boolean;
}

/** What was found under the key. */
export interface StoredState {
  readonly facts: ResponseFacts;
  readonly initialAgeMs: number;
  readonly receivedAt: number;
  /** When the latest soft purge that concerns it was ordered, ms since the epoch. */
  readonly softPurgedAt: number | undefined;
}

export interface DecisionInput {
  readonly method: string;
  readonly hasContent: boolean;
  /** The request would switch protocols, RFC 9110 §7.8. */
  readonly upgrades?: boolean;
  /** The client's directives, or `undefined` where the site does not honour them. */
  readonly clientDirectives: RequestDirectives | undefined;
  /** Another node asks: stale content from before a soft purge must not travel between tiers. */
  readonly fromTier: boolean;
  /** It asks only for what is held, for no parent has answered it. */
  readonly heldOnly?: boolean | undefined;
  readonly stored: StoredState | 'uri-miss' | 'vary-miss' | 'purged' | 'partial';
  readonly settings: CacheSettings;
  readonly onLeaseEnd: Site['onLeaseEnd'];
  readonly leaseEnded: boolean;
  /** The asking node knows that the object has changed. */
  readonly knownChanged: boolean;
  /** The asking node's fence is ahead of ours. */
  readonly fenceBehind: boolean;
  readonly hitForMiss: boolean;
  /** A refresh of this object failed so lately that the next is not due yet. */
  readonly refreshFailing: boolean;
  /** What purges have made stale is renewed as often as the site allows already. */
  readonly refillsSpent?: boolean;
  /** The part of its freshness that the object gives up; see `jitter`. */
  readonly jitter: number;
  /** Asked for often enough to be renewed ahead of its expiry, where the site wants that. */
  readonly inDemand: boolean;
  readonly now: number;
}

/** `current_age` of RFC 9111 §4.2.3, ms. */
export function currentAgeMs(
  stored: Pick<StoredState, 'initialAgeMs' | 'receivedAt'>,
  now: number,
): number {
  return stored.initialAgeMs + Math.max(0, now - stored.receivedAt);
}

/** RFC 9111 §4 for one request: what to do, and why. */
export function decide(input: DecisionInput): Decision {
  if (input.method !== 'GET' && input.method !== 'HEAD') return plain('pass', 'method');
  if (input.upgrades === true) return plain('pass', 'upgrade');
  if (input.hasContent) return plain('pass', 'request-content');
  const decision = decideFromStored(input);
  if (input.heldOnly === true) return asHeld(decision);
  const forwards = decision.action === 'fill' || decision.action === 'revalidate';
  if (forwards && input.clientDirectives?.onlyIfCached) return plain('refuse', 'only-if-cached');
  // What is fetched for such a request is nobody else's, RFC 9111 §5.2.1.5.
  if (forwards && input.clientDirectives?.noStore) return plain('pass', 'request');
  if (decision.action === 'fill' && input.hitForMiss) return plain('pass', 'hit-for-miss');
  return decision;
}

/** The same with every parent taken to have failed, and none to be asked. */
function asHeld(decision: Decision): Decision {
  const { action, staleOnError } = decision;
  if (action === 'serve' || action === 'refresh-behind') return { ...decision, action: 'serve' };
  if (staleOnError) return { ...decision, action: 'serve', reason: 'stale-if-error' };
  return plain('refuse', 'only-if-cached');
}

function decideFromStored(input: DecisionInput): Decision {
  const { stored, now, clientDirectives } = input;
  if (typeof stored === 'string') return plain('fill', stored);
  // What we hold may be purged already in an event that has not reached us.
  if (input.fenceBehind) return plain('fill', 'fence-behind');

  const freshForMs = freshness(stored.facts, input.settings).freshForMs * (1 - input.jitter);
  const windows = staleWindows(stored.facts, input.settings);
  const ageMs = currentAgeMs(stored, now);
  const softPurged = stored.softPurgedAt !== undefined;
  const sincePurgeMs = softPurged ? Math.max(0, now - (stored.softPurgedAt ?? now)) : -Infinity;
  const staleForMs = Math.max(ageMs - freshForMs, sincePurgeMs);
  const mayTravel = !(softPurged && input.fromTier);
  const { noCache } = stored.facts.directives;
  // A stored error is no better than the one that a parent has just given.
  const good = stored.facts.status < 500;
  // It may have been purged for good, for all that this node has heard.
  const mustValidate = input.leaseEnded && input.onLeaseEnd === 'revalidate';
  const valid = good && !noCache && !input.knownChanged;
  const staleOnError = mayTravel && valid && staleForMs < windows.ifErrorMs;
  const decision = (action: Action, reason: Reason): Decision => ({
    action,
    reason,
    ttlSeconds: Math.ceil(-staleForMs / 1000),
    staleOnError,
  });

  if (noCache) return decision('revalidate', 'no-cache');
  const { immutable } = stored.facts.directives;
  if (
    clientDirectives !== undefined &&
    asksForMore(clientDirectives, ageMs, freshForMs, immutable)
  ) {
    return decision('revalidate', 'request');
  }
  if (input.knownChanged) return decision('revalidate', 'changed');
  if (staleForMs < 0) {
    if (!input.leaseEnded) {
      const last = input.inDemand && -staleForMs < freshForMs * input.settings.refreshAhead;
      return last && !input.refreshFailing
        ? decision('refresh-behind', 'refresh-ahead')
        : decision('serve', 'fresh');
    }
    return mustValidate
      ? decision('revalidate', 'lease-ended')
      : decision('serve', 'fresh-lease-ended');
  }
  if (mayTravel) {
    if (input.refreshFailing && staleOnError) return decision('serve', 'stale-if-error');
    if (mustValidate) return decision('revalidate', 'lease-ended');
    const mayBridge = staleForMs < windows.whileRevalidateMs;
    if (input.refillsSpent && softPurged && (mayBridge || staleOnError)) {
      return decision('serve', 'refill-limited');
    }
    if (mayBridge) {
      return decision('refresh-behind', 'stale-while-revalidate');
    }
    if (takesStale(clientDirectives, staleForMs, stored.facts)) {
      return decision('serve', 'max-stale');
    }
  }
  return decision('revalidate', softPurged ? 'soft-purged' : 'stale');
}

const plain = (action: Action, reason: Reason): Decision => ({
  action,
  reason,
  ttlSeconds: undefined,
  staleOnError: false,
});

/** RFC 9111 §5.2.1.1, §5.2.1.3, §5.2.1.4; a mere reload finds what is immutable as it was, RFC 8246 §2. */
function asksForMore(
  client: RequestDirectives,
  ageMs: number,
  freshForMs: number,
  immutable: boolean,
): boolean {
  const maxAgeSeconds =
    client.maxAgeSeconds === 0 && immutable && ageMs < freshForMs
      ? undefined
      : client.maxAgeSeconds;
  return (
    client.noCache ||
    (maxAgeSeconds !== undefined && ageMs > maxAgeSeconds * 1000) ||
    (client.minFreshSeconds !== undefined && freshForMs - ageMs < client.minFreshSeconds * 1000)
  );
}

/** RFC 9111 §5.2.1.2, where §4.2.4 does not forbid it. */
function takesStale(
  client: RequestDirectives | undefined,
  staleForMs: number,
  { directives }: ResponseFacts,
): boolean {
  return (
    client?.maxStaleSeconds !== undefined &&
    staleForMs <= client.maxStaleSeconds * 1000 &&
    !directives.mustRevalidate &&
    !directives.proxyRevalidate &&
    directives.sMaxageSeconds === undefined
  );
}
