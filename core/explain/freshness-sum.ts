import type { FreshnessSum } from '#core/contract/explain.ts';
import type { CacheSettings } from '#core/contract/cache-settings.ts';
import { type Fields, fieldValue } from '#core/http/fields.ts';
import { formatDate } from '#core/http/dates.ts';
import type { StoredState } from '#core/cache/policy/decide.ts';
import {
  freshness,
  type FreshnessSource,
  statedFreshness,
  staleWindows,
} from '#core/cache/policy/freshness.ts';
import type { ResponseFacts } from '#core/cache/policy/response.ts';

const WHY: Readonly<Record<FreshnessSource, (facts: ResponseFacts) => string>> = {
  's-maxage': () => 'the origin says s-maxage (RFC 9111 §5.2.2.10)',
  'max-age': () => 'the origin says max-age (RFC 9111 §5.2.2.1)',
  expires: ({ dateMs }) => `the origin says Expires, reckoned from ${formatDate(dateMs)}`,
  'site-default': () => 'the origin is silent; cache.defaultFreshSeconds of the site',
  negative: ({ status }) => `a ${status} without a word of the origin; cache.negativeFreshSeconds`,
  heuristic: () => 'a tenth of the time since Last-Modified, a day at most (RFC 9111 §4.2.2)',
  none: () => 'nothing says or allows any',
};

/**
 * How fresh an object is, summed up as `decide` does it.
 * @param settings of the site for this object @param jitter the part of its freshness that it gives up
 * @param now ms since the Unix epoch
 */
export function freshnessSum(
  {
    facts,
    fields,
    initialAgeMs,
    receivedAt,
    softPurgedAt,
  }: StoredState & { readonly fields: Fields },
  settings: CacheSettings,
  jitter: number,
  now: number,
): FreshnessSum {
  const stated = statedFreshness(facts, settings);
  const bounded = freshness(facts, settings);
  const residentMs = Math.max(0, now - receivedAt);
  const terms = [
    { name: stated.source, ms: stated.freshForMs, why: WHY[stated.source](facts) },
    ...bound(stated.freshForMs, bounded.freshForMs),
    ...(jitter === 0
      ? []
      : [
          {
            name: 'jitter',
            ms: -bounded.freshForMs * jitter,
            why: 'cache.jitterFraction, so that not all expires at once',
          },
        ]),
    { name: 'age on arrival', ms: -initialAgeMs, why: arrivalWhy(facts) },
    { name: 'time stored', ms: -residentMs, why: `here since ${formatDate(receivedAt)}` },
  ];
  const unpurgedMs = terms.reduce((sum, { ms }) => sum + ms, 0);
  const leftMs =
    softPurgedAt === undefined
      ? unpurgedMs
      : Math.min(unpurgedMs, -Math.max(0, now - softPurgedAt));
  const windows = staleWindows(facts, settings);
  return {
    source: stated.source,
    terms:
      leftMs === unpurgedMs
        ? terms
        : [...terms, { name: 'soft purge', ms: leftMs - unpurgedMs, why: 'stale since the purge' }],
    leftMs,
    staleWhileRevalidateMs: windows.whileRevalidateMs,
    staleIfErrorMs: windows.ifErrorMs,
    cacheControl: controlOf(facts, fields),
  };
}

function bound(statedMs: number, boundedMs: number): FreshnessSum['terms'] {
  if (statedMs === boundedMs) return [];
  const setting = boundedMs > statedMs ? 'minFreshSeconds' : 'maxFreshSeconds';
  return [
    { name: setting, ms: boundedMs - statedMs, why: `cache.${setting} is ${boundedMs / 1000} s` },
  ];
}

const arrivalWhy = ({ ageSeconds, dateMs }: ResponseFacts): string =>
  `Age ${ageSeconds}, Date ${formatDate(dateMs)} (RFC 9111 §4.2.3)`;

/** The field that counts; targeted ones go before `Cache-Control`, RFC 9213 §2.2. */
function controlOf({ targeted }: ResponseFacts, fields: Fields): string | null {
  const names = targeted ? TARGETED : ['cache-control'];
  for (const name of names) {
    const value = fieldValue(fields, name);
    if (value !== undefined) return targeted ? `${name}: ${value}` : value;
  }
  return null;
}

const TARGETED = ['cdn-cache-control', 'surrogate-control'];
