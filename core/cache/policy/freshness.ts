import type { CacheSettings } from '#core/contract/cache-settings.ts';
import type { ResponseFacts } from './response.ts';

/** Where a freshness lifetime comes from. */
export type FreshnessSource =
  /** The origin's `s-maxage`, RFC 9111 §5.2.2.10. */
  | 's-maxage'
  /** The origin's `max-age`, RFC 9111 §5.2.2.1. */
  | 'max-age'
  /** The origin's `Expires`, RFC 9111 §5.3. */
  | 'expires'
  /** The site's `defaultFreshSeconds`. */
  | 'site-default'
  /** The site's `negativeFreshSeconds`. */
  | 'negative'
  /** A tenth of the time since `Last-Modified`, RFC 9111 §4.2.2. */
  | 'heuristic'
  /** Nothing says or allows any. */
  | 'none';

export interface Freshness {
  readonly freshForMs: number;
  readonly source: FreshnessSource;
}

/** Statuses that may be stored without explicit freshness, RFC 9110 §15.1; 206 is not stored whole. */
const HEURISTICALLY_CACHEABLE: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501,
]);
const NEGATIVE: ReadonlySet<number> = new Set([404, 405, 410, 414, 501]);

const HEURISTIC_FRACTION = 0.1;
const HEURISTIC_LIMIT_MS = 24 * 3_600_000;

/** RFC 9111 §4.2.1 within the site's bounds, then the site's word where the origin is silent. */
export function freshness(facts: ResponseFacts, settings: CacheSettings): Freshness {
  const found = statedFreshness(facts, settings);
  if (!BOUNDED.has(found.source)) return found;
  const { minFreshSeconds, maxFreshSeconds } = settings;
  // Neither an error nor what is validated for each use is to be kept for longer than its origin meant.
  const raised = facts.status < 400 && !facts.directives.noCache;
  const least = raised ? minFreshSeconds * 1000 : 0;
  const most = maxFreshSeconds === null ? Infinity : maxFreshSeconds * 1000;
  if (found.freshForMs >= least && found.freshForMs <= most) return found;
  return { ...found, freshForMs: Math.min(Math.max(found.freshForMs, least), most) };
}

/** What the origin says; the site's own word needs no bounds. */
const BOUNDED: ReadonlySet<FreshnessSource> = new Set([
  's-maxage',
  'max-age',
  'expires',
  'heuristic',
]);

/** The same before the site's bounds. */
export function statedFreshness(facts: ResponseFacts, settings: CacheSettings): Freshness {
  const { directives } = facts;
  if (directives.sMaxageSeconds !== undefined) {
    return { freshForMs: directives.sMaxageSeconds * 1000, source: 's-maxage' };
  }
  if (directives.maxAgeSeconds !== undefined) {
    return { freshForMs: directives.maxAgeSeconds * 1000, source: 'max-age' };
  }
  if (facts.expiresMs !== undefined) {
    return { freshForMs: Math.max(0, facts.expiresMs - facts.dateMs), source: 'expires' };
  }
  const negativeSeconds = negativeFreshSeconds(facts.status, settings);
  if (negativeSeconds !== undefined) {
    return { freshForMs: negativeSeconds * 1000, source: 'negative' };
  }
  if (!HEURISTICALLY_CACHEABLE.has(facts.status) && !directives.public) {
    return { freshForMs: 0, source: 'none' };
  }
  if (settings.defaultFreshSeconds !== null) {
    return { freshForMs: settings.defaultFreshSeconds * 1000, source: 'site-default' };
  }
  if (facts.lastModifiedMs === undefined || !settings.heuristicFreshness) {
    return { freshForMs: 0, source: 'none' };
  }
  const unchangedForMs = Math.max(0, facts.dateMs - facts.lastModifiedMs);
  return {
    freshForMs: Math.min(unchangedForMs * HEURISTIC_FRACTION, HEURISTIC_LIMIT_MS),
    source: 'heuristic',
  };
}

/** What the site says of an error without a word of its origin; `undefined` where it is not about this status. */
function negativeFreshSeconds(
  status: number,
  { negativeFreshSeconds: stated }: CacheSettings,
): number | undefined {
  if (typeof stated === 'number') return NEGATIVE.has(status) ? stated : undefined;
  return stated[status] ?? (NEGATIVE.has(status) ? 0 : undefined);
}

/**
 * `corrected_initial_age` of RFC 9111 §4.2.3.
 * @param requestedAt when the request was sent
 * @param receivedAt when the header section came
 */
export function initialAgeMs(
  facts: ResponseFacts,
  requestedAt: number,
  receivedAt: number,
): number {
  const apparentAgeMs = Math.max(0, receivedAt - facts.dateMs);
  const correctedAgeMs = facts.ageSeconds * 1000 + (receivedAt - requestedAt);
  return Math.max(apparentAgeMs, correctedAgeMs);
}

/** How long past its freshness a response may still be served, and to what end. */
export interface StaleWindows {
  /** While a refresh runs behind, RFC 5861 §3. */
  readonly whileRevalidateMs: number;
  /** When no parent gives a good answer, RFC 5861 §4. */
  readonly ifErrorMs: number;
}

const NEVER_STALE: StaleWindows = { whileRevalidateMs: 0, ifErrorMs: 0 };

/**
 * RFC 9111 §4.2.4. `s-maxage` forbids stale answers as proxy-revalidate does (§5.2.2.10), save for
 * the windows that the origin names beside it: the narrower word is the one it meant.
 */
export function staleWindows(facts: ResponseFacts, settings: CacheSettings): StaleWindows {
  const { directives } = facts;
  if (directives.noCache || directives.mustRevalidate || directives.proxyRevalidate) {
    return NEVER_STALE;
  }
  const silent = directives.sMaxageSeconds === undefined;
  const seconds = (stated: number | undefined, fallback: number): number =>
    stated ?? (silent ? fallback : 0);
  return {
    whileRevalidateMs:
      seconds(directives.staleWhileRevalidateSeconds, settings.staleWhileRevalidateSeconds) * 1000,
    ifErrorMs: seconds(directives.staleIfErrorSeconds, settings.staleIfErrorSeconds) * 1000,
  };
}
