import { expect, test } from 'vitest';
import { decide, type DecisionInput } from '#core/cache/policy/decide.ts';
import { requestDirectives } from '#core/http/directives.ts';
import { cacheSettings, RECEIVED_AT, response } from './facts.ts';

interface Given extends Partial<Omit<DecisionInput, 'stored' | 'clientDirectives'>> {
  /** `Cache-Control` of what is stored, which came without age. */
  readonly stored?: string | { readonly missing: 'uri-miss' | 'vary-miss' | 'purged' };
  readonly heldSeconds?: number;
  readonly softPurgedSecondsAgo?: number;
  /** `Cache-Control` of the request, honoured. */
  readonly client?: string;
}

function decision(given: Given): string {
  const { stored = 'max-age=60', heldSeconds = 0, softPurgedSecondsAgo, client, ...rest } = given;
  const now = RECEIVED_AT + heldSeconds * 1000;
  const { action, reason, staleOnError } = decide({
    method: 'GET',
    hasContent: false,
    fromTier: false,
    onLeaseEnd: 'serve',
    leaseEnded: false,
    fenceBehind: false,
    knownChanged: false,
    hitForMiss: false,
    refreshFailing: false,
    jitter: 0,
    inDemand: false,
    settings: cacheSettings({ staleIfErrorSeconds: 100 }),
    now,
    stored:
      typeof stored === 'string'
        ? {
            facts: response({ 'Cache-Control': stored }),
            initialAgeMs: 0,
            receivedAt: RECEIVED_AT,
            softPurgedAt:
              softPurgedSecondsAgo === undefined ? undefined : now - softPurgedSecondsAgo * 1000,
          }
        : stored.missing,
    clientDirectives:
      client === undefined ? undefined : requestDirectives(['Cache-Control', client]),
    ...rest,
  });
  return `${action}: ${reason}${staleOnError ? ' (stale on error)' : ''}`;
}

test.each<[string, Given, string]>([
  ['RFC 9111 §4: fresh', { heldSeconds: 59 }, 'serve: fresh (stale on error)'],
  [
    'RFC 9111 §4.2: a lifetime that equals the age is over',
    { heldSeconds: 60 },
    'revalidate: stale (stale on error)',
  ],
  ['RFC 9111 §4: nothing stored', { stored: { missing: 'uri-miss' } }, 'fill: uri-miss'],
  ['RFC 9111 §4.1: only other variants', { stored: { missing: 'vary-miss' } }, 'fill: vary-miss'],
  ['RFC 9111 §4.2.4: stale beyond every window', { heldSeconds: 161 }, 'revalidate: stale'],
  [
    'RFC 9111 §4.2.4: must-revalidate',
    { stored: 'max-age=60, must-revalidate', heldSeconds: 61 },
    'revalidate: stale',
  ],
  [
    'RFC 9111 §5.2.2.10: s-maxage',
    { stored: 'max-age=600, s-maxage=60', heldSeconds: 90 },
    'revalidate: stale',
  ],
  [
    'RFC 9111 §5.2.2.4: no-cache, though fresh',
    { stored: 'no-cache, max-age=60' },
    'revalidate: no-cache',
  ],
  [
    'jitter shortens freshness',
    { heldSeconds: 55, jitter: 0.1 },
    'revalidate: stale (stale on error)',
  ],
  [
    'in the last part of its freshness, in demand',
    { heldSeconds: 55, inDemand: true, settings: cacheSettings({ refreshAhead: 0.1 }) },
    'refresh-behind: refresh-ahead (stale on error)',
  ],
  [
    'before the last part of its freshness',
    { heldSeconds: 53, inDemand: true, settings: cacheSettings({ refreshAhead: 0.1 }) },
    'serve: fresh (stale on error)',
  ],
  [
    'in the last part, but its refresh failed just now',
    {
      heldSeconds: 55,
      inDemand: true,
      refreshFailing: true,
      settings: cacheSettings({ refreshAhead: 0.1 }),
    },
    'serve: fresh (stale on error)',
  ],
  [
    'RFC 5861 §3: within the window',
    { stored: 'max-age=60, stale-while-revalidate=30', heldSeconds: 75 },
    'refresh-behind: stale-while-revalidate (stale on error)',
  ],
  [
    'RFC 5861 §3: past the window',
    { stored: 'max-age=60, stale-while-revalidate=30', heldSeconds: 91 },
    'revalidate: stale (stale on error)',
  ],
  [
    'RFC 5861 §4: a refresh has just failed',
    { heldSeconds: 70, refreshFailing: true },
    'serve: stale-if-error (stale on error)',
  ],
  [
    'RFC 5861 §4: not past its window',
    { heldSeconds: 161, refreshFailing: true },
    'revalidate: stale',
  ],
  ['RFC 9110 §9: other methods', { method: 'POST' }, 'pass: method'],
  ['RFC 9110 §9.3.2: HEAD as GET', { method: 'HEAD' }, 'serve: fresh (stale on error)'],
  ['RFC 9110 §7.8: another protocol', { upgrades: true }, 'pass: upgrade'],
  ['content is no part of the key', { hasContent: true }, 'pass: request-content'],
  [
    'nobody queues for what is uncacheable',
    { stored: { missing: 'uri-miss' }, hitForMiss: true },
    'pass: hit-for-miss',
  ],
  [
    'what is stored is served, whatever was marked',
    { hitForMiss: true },
    'serve: fresh (stale on error)',
  ],

  [
    'RFC 9111 §5.2.1.4: no-cache, honoured',
    { client: 'no-cache' },
    'revalidate: request (stale on error)',
  ],
  [
    'RFC 9111 §5.2.1.1: max-age below the age',
    { client: 'max-age=5', heldSeconds: 6 },
    'revalidate: request (stale on error)',
  ],
  [
    'RFC 9111 §5.2.1.1: max-age of the age',
    { client: 'max-age=5', heldSeconds: 5 },
    'serve: fresh (stale on error)',
  ],
  [
    'RFC 8246 §2: a reload of what is immutable',
    { client: 'max-age=0', heldSeconds: 6, stored: 'max-age=60, immutable' },
    'serve: fresh (stale on error)',
  ],
  [
    'RFC 8246 §2: no-cache of what is immutable',
    { client: 'no-cache', heldSeconds: 6, stored: 'max-age=60, immutable' },
    'revalidate: request (stale on error)',
  ],
  [
    'RFC 8246 §2: immutable only while fresh',
    { client: 'max-age=0', heldSeconds: 61, stored: 'max-age=60, immutable' },
    'revalidate: request (stale on error)',
  ],
  [
    'RFC 9111 §5.2.1.5: no-store, nothing stored',
    { client: 'no-store', stored: { missing: 'uri-miss' } },
    'pass: request',
  ],
  [
    'RFC 9111 §5.2.1.5: no-store, nothing that could be served',
    { client: 'no-store', heldSeconds: 61 },
    'pass: request',
  ],
  [
    'RFC 9111 §5.2.1.5: no-store says nothing of what is stored already',
    { client: 'no-store' },
    'serve: fresh (stale on error)',
  ],
  [
    'RFC 9111 §5.2.1.3: min-fresh past the rest',
    { client: 'min-fresh=10', heldSeconds: 51 },
    'revalidate: request (stale on error)',
  ],
  [
    'RFC 9111 §5.2.1.2: max-stale',
    { client: 'max-stale=10', heldSeconds: 65 },
    'serve: max-stale (stale on error)',
  ],
  [
    'RFC 9111 §5.2.1.2: staler than max-stale',
    { client: 'max-stale=10', heldSeconds: 71 },
    'revalidate: stale (stale on error)',
  ],
  [
    'RFC 9111 §4.2.4: max-stale against must-revalidate',
    { client: 'max-stale', stored: 'max-age=60, must-revalidate', heldSeconds: 61 },
    'revalidate: stale',
  ],
  [
    'RFC 9111 §5.2.1.7: only-if-cached, nothing stored',
    { client: 'only-if-cached', stored: { missing: 'uri-miss' } },
    'refuse: only-if-cached',
  ],
  ['held only, fresh', { heldOnly: true }, 'serve: fresh (stale on error)'],
  [
    'RFC 5861 §4: held only, stale',
    { heldOnly: true, heldSeconds: 61 },
    'serve: stale-if-error (stale on error)',
  ],
  [
    'RFC 5861 §3: held only, and nobody is asked behind',
    { heldOnly: true, heldSeconds: 61, stored: 'max-age=60, stale-while-revalidate=9' },
    'serve: stale-while-revalidate (stale on error)',
  ],
  [
    'RFC 9111 §4.2.4: held only, stale beyond every window',
    { heldOnly: true, heldSeconds: 161 },
    'refuse: only-if-cached',
  ],
  [
    'RFC 9111 §4.2.4: held only, must-revalidate',
    { heldOnly: true, heldSeconds: 61, stored: 'max-age=60, must-revalidate' },
    'refuse: only-if-cached',
  ],
  [
    'RFC 9111 §5.2.2.4: held only, no-cache',
    { heldOnly: true, stored: 'no-cache' },
    'refuse: only-if-cached',
  ],
  [
    'held only, softly purged: it does not travel',
    { heldOnly: true, fromTier: true, softPurgedSecondsAgo: 1 },
    'refuse: only-if-cached',
  ],
  [
    'held only, at a node behind the asking one',
    { heldOnly: true, fenceBehind: true },
    'refuse: only-if-cached',
  ],
  [
    'held only, known to have changed',
    { heldOnly: true, knownChanged: true },
    'refuse: only-if-cached',
  ],
  [
    'held only, nothing stored and hit for miss',
    { heldOnly: true, hitForMiss: true, stored: { missing: 'uri-miss' } },
    'refuse: only-if-cached',
  ],
  [
    'RFC 9111 §5.2.1.7: only-if-cached, stored',
    { client: 'only-if-cached' },
    'serve: fresh (stale on error)',
  ],

  [
    'RFC 9111 §4.4: changed by a request that went another way',
    { knownChanged: true },
    'revalidate: changed',
  ],

  ['fence: purged', { stored: { missing: 'purged' } }, 'fill: purged'],
  ['fence: the asking node is ahead', { fenceBehind: true }, 'fill: fence-behind'],
  [
    'fence: soft-purged, though fresh',
    { softPurgedSecondsAgo: 0 },
    'revalidate: soft-purged (stale on error)',
  ],
  [
    'fence: soft-purged, with a window',
    { stored: 'max-age=60, stale-while-revalidate=30', softPurgedSecondsAgo: 10 },
    'refresh-behind: stale-while-revalidate (stale on error)',
  ],
  [
    'fence: soft-purged, past the window',
    { stored: 'max-age=60, stale-while-revalidate=30', softPurgedSecondsAgo: 31 },
    'revalidate: soft-purged (stale on error)',
  ],
  [
    'fence: soft-purged content does not travel between tiers',
    { stored: 'max-age=60, stale-while-revalidate=30', softPurgedSecondsAgo: 1, fromTier: true },
    'revalidate: soft-purged',
  ],
  [
    'refills spent: soft-purged content bridges',
    { softPurgedSecondsAgo: 1, refillsSpent: true },
    'serve: refill-limited (stale on error)',
  ],
  [
    'refills spent: what may not bridge is fetched',
    { stored: 'max-age=60, must-revalidate', softPurgedSecondsAgo: 1, refillsSpent: true },
    'revalidate: soft-purged',
  ],
  [
    'refills spent: nothing is bridged between tiers',
    { softPurgedSecondsAgo: 1, refillsSpent: true, fromTier: true },
    'revalidate: soft-purged',
  ],
  [
    'refills spent: what is fresh is served',
    { refillsSpent: true },
    'serve: fresh (stale on error)',
  ],
  [
    'lease ended, the site serves on',
    { leaseEnded: true },
    'serve: fresh-lease-ended (stale on error)',
  ],
  [
    'lease ended, the site revalidates',
    { leaseEnded: true, onLeaseEnd: 'revalidate' },
    'revalidate: lease-ended (stale on error)',
  ],
  [
    'lease ended, the site revalidates what is stale as well',
    {
      stored: 'max-age=60, stale-while-revalidate=30',
      heldSeconds: 70,
      leaseEnded: true,
      onLeaseEnd: 'revalidate',
    },
    'revalidate: lease-ended (stale on error)',
  ],
  [
    'lease ended, the site serves on what is stale as well',
    { stored: 'max-age=60, stale-while-revalidate=30', heldSeconds: 70, leaseEnded: true },
    'refresh-behind: stale-while-revalidate (stale on error)',
  ],
])('%s', (_, given, expected) => {
  expect(decision(given)).toBe(expected);
});
