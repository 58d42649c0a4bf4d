import { expect, test } from 'vitest';
import { decide, type DecisionInput } from '#core/cache/policy/decide.ts';
import { cacheSettingsSchema } from '#core/contract/cache-settings.ts';
import type { Explained, KeyDifference } from '#core/contract/explain.ts';
import { keyDifferences, selectorDifferences } from '#core/explain/differences.ts';
import { freshnessSum } from '#core/explain/freshness-sum.ts';
import { nearHints } from '#core/explain/hints.ts';
import { explanationLine } from '#core/explain/line.ts';
import { isSecret, masked, maskedKey } from '#core/explain/masked.ts';
import { nodeExplained } from '#core/explain/merge.ts';
import { nearText } from '#core/explain/near-keys.ts';
import { HotKeys } from '#core/tree/hot-keys.ts';
import { patternFor, SiteDirectory } from '#core/sites.ts';
import { siteSchema } from '#core/contract/site.ts';
import { explained } from '#test/explained.ts';
import { RECEIVED_AT, response } from './facts.ts';

/** `query utm_source: x / -` */
const told = (differences: readonly KeyDifference[] | undefined): string =>
  differences === undefined
    ? 'other paths'
    : differences
        .map(
          ({ part, name, asked, stored }) =>
            `${part}${name === null ? '' : ` ${name}`}: ${asked ?? '-'} / ${stored ?? '-'}`,
        )
        .join(', ');

test.each<[asked: string, stored: string, expected: string]>([
  ['s http://h/a', 's http://h/a', ''],
  ['s http://h/a?utm_source=x', 's http://h/a', 'query utm_source: x / -'],
  ['s http://h/a', 's http://h/a?b', 'query b: - / '],
  ['s http://h/a?b=1&c=2', 's http://h/a?b=2&c=2', 'query b: 1 / 2'],
  ['s http://h/a?b=1&b=2', 's http://h/a?b=1', 'query b: 1&2 / 1'],
  ['s http://h/a?b=1&c=2', 's http://h/a?c=2&b=1', 'query: b, c / c, b'],
  ['s http://h/a', 's https://h/a', 'scheme: http / https'],
  ['s http://h/a', 's http://www.h/a', 'host: h / www.h'],
  ['s http://h/A', 's http://h/a', 'path: /A / /a'],
  ['s http://h/a/', 's http://h/a', 'path: /a/ / /a'],
  ['s http://h/a/', 's http://h/a/index.html', 'path: /a/ / /a/index.html'],
  ['s http://h/a', 's http://h/b', 'other paths'],
  ['s http://h/a?b=1', 's http://h/b?b=1', 'other paths'],
  // Of the network's own origin.
  ['s /a?b=1', 's /a', 'query b: 1 / -'],
  ['s /', 's /', ''],
])('keys %s and %s differ in: %s', (asked, stored, expected) => {
  expect(told(keyDifferences(asked, stored))).toBe(expected);
});

test.each<[asked: string, stored: string, ofKey: string[], expected: string]>([
  ['', '', [], ''],
  ['accept-encoding=gzip', 'accept-encoding=', [], 'vary accept-encoding: gzip / '],
  ['accept-language=de', 'accept-language=-', [], 'vary accept-language: de / -'],
  ['x-tenant=+a\n', 'x-tenant=+b\n', ['x-tenant'], 'header x-tenant: a / b'],
  ['x-tenant=+a\nvia-x=+1', 'x-tenant=+a\nvia-x=-', ['x-tenant'], 'vary via-x: 1 / -'],
  ['canopy-origin=+blue\n', 'canopy-origin=-\n', ['canopy-origin'], 'origin: blue / -'],
  ['canopy-origin=+a=b\n', 'canopy-origin=+a=c\n', ['canopy-origin'], 'origin: a=b / a=c'],
])('selectors %j and %j, by %j, differ in: %s', (asked, stored, ofKey, expected) => {
  expect(told(selectorDifferences(asked, stored, ofKey))).toBe(expected);
});

test('values that prove who somebody is are masked, such that equal ones show as equal', () => {
  const differences = selectorDifferences(
    'cookie:sid=+one\nauthorization=+Basic YTpi\n',
    'cookie:sid=+two\nauthorization=-\n',
    ['cookie:sid'],
  );
  expect(told(differences)).toMatch(
    /^cookie sid: \(masked #\w{6}\) \/ \(masked #\w{6}\), vary authorization: \(masked #\w{6}\) \/ -$/,
  );
  expect(masked('one')).toBe(masked('one'));
  expect(masked('one')).not.toBe(masked('two'));
});

test('keys are shown without secrets in their parameters', () => {
  expect(maskedKey('s http://h/a?b=1&access_token=x&c')).toBe(
    `s http://h/a?b=1&access_token=${masked('x')}&c`,
  );
  expect(maskedKey('s http://h/token')).toBe('s http://h/token');
});

test.each(['cookie', 'Authorization', 'x-api-key', 'access_token', 'X-Signature', 'sessionid'])(
  '%s is a secret',
  (name) => expect(isSecret(name)).toBe(true),
);
test.each(['accept-language', 'utm_source', 'x-tenant', 'origin'])('%s is none', (name) =>
  expect(isSecret(name)).toBe(false),
);

const settingsOf = (settings: object) => cacheSettingsSchema.parse(settings);

/** What the sum has to come to is what `decide` makes of the same. */
test.each<[what: string, fields: Record<string, string>, settings: object, terms: string[]]>([
  ['max-age', { 'Cache-Control': 'max-age=60' }, {}, ['max-age 60']],
  ['s-maxage', { 'Cache-Control': 'max-age=60, s-maxage=90' }, {}, ['s-maxage 90']],
  ['a targeted field', { 'CDN-Cache-Control': 'max-age=30' }, {}, ['max-age 30']],
  ['nothing at all', {}, { heuristicFreshness: false }, ['none 0']],
  ['the site’s default', {}, { defaultFreshSeconds: 20 }, ['site-default 20']],
  [
    'the site’s upper bound',
    { 'Cache-Control': 'max-age=60' },
    { maxFreshSeconds: 40 },
    ['max-age 60', 'maxFreshSeconds -20'],
  ],
  [
    'the site’s lower bound',
    { 'Cache-Control': 'max-age=6' },
    { minFreshSeconds: 10 },
    ['max-age 6', 'minFreshSeconds 4'],
  ],
])('freshness by %s adds up (RFC 9111 §4.2)', (_, given, settings, expected) => {
  const fields = Object.entries(given).flat();
  const stored = {
    facts: response(given),
    initialAgeMs: 3000,
    receivedAt: RECEIVED_AT,
    softPurgedAt: undefined,
  };
  for (const [jitter, softPurgedAt] of [
    [0, undefined],
    [0.1, undefined],
    [0, RECEIVED_AT + 2000],
  ] as const) {
    const now = RECEIVED_AT + 5000;
    const sum = freshnessSum(
      { ...stored, softPurgedAt, fields },
      settingsOf(settings),
      jitter,
      now,
    );
    const added = sum.terms.reduce((total, { ms }) => total + ms, 0);
    expect(added).toBeCloseTo(sum.leftMs);
    const decision = decide({
      ...INPUT,
      settings: settingsOf(settings),
      stored: { ...stored, softPurgedAt },
      jitter,
      now,
    });
    expect(Math.ceil(sum.leftMs / 1000)).toBe(decision.ttlSeconds);
    const [first, second] = sum.terms.map(({ name, ms }) => `${name} ${ms / 1000}`);
    expect([first, second].slice(0, expected.length)).toEqual(expected);
  }
});

const INPUT: Omit<DecisionInput, 'settings' | 'stored' | 'jitter' | 'now'> = {
  method: 'GET',
  hasContent: false,
  clientDirectives: undefined,
  fromTier: false,
  onLeaseEnd: 'serve',
  leaseEnded: false,
  knownChanged: false,
  fenceBehind: false,
  hitForMiss: false,
  refreshFailing: false,
  inDemand: false,
};

test.each<[host: string, pattern: string | null]>([
  ['www.example.org', 'www.example.org'],
  ['a.example.org', '*.example.org'],
  ['b.a.example.org', '*.a.example.org'],
  ['elsewhere.test', '*'],
])('%s is found by %s', (host, pattern) => {
  const hosts = ['*', '*.example.org', '*.a.example.org', 'www.example.org'];
  expect(patternFor(hosts, host)).toBe(pattern);
  const sites = hosts.map((one, i) =>
    siteSchema.parse({ name: `s${i}`, hosts: [one], origin: { kind: 'push' } }),
  );
  expect(new SiteDirectory(sites).byHost(host)?.hosts).toEqual([pattern]);
});

const near = (...keys: string[]) => ({
  alike: keys.filter((key) => !key.includes('b=3')).length,
  keys: keys.map((key) => ({
    key,
    differences: keyDifferences('s http://h/a?utm_source=1&b=2', key) ?? [],
    leftMs: 1000,
  })),
  looked: keys.length,
  of: keys.length,
  sampled: false,
});

test.each<[keys: string[], text: string | undefined, hints: (string | null)[]]>([
  [[], undefined, []],
  [['s http://h/a?b=2'], 'one stored key differs only in `utm_source`', ['key.query']],
  [
    ['s http://h/a?b=2', 's http://h/a?utm_source=3&b=2', 's http://h/a?utm_source=3&b=3'],
    '2 stored keys differ only in `utm_source`',
    ['key.query'],
  ],
  [
    ['s http://h/a?b=2&utm_source=1'],
    'one stored key differs only in the order of parameters',
    ['key.sortQuery'],
  ],
  [
    ['s https://h/a?utm_source=1&b=2'],
    'one stored key differs only in the scheme',
    ['tls.redirect'],
  ],
  [
    ['s http://h/A?utm_source=1&b=2'],
    'one stored key differs only in the path',
    ['rules[].redirect'],
  ],
])('near keys %j: %s', (keys, text, hints) => {
  expect(nearText(near(...keys))).toBe(text);
  expect(nearHints(near(...keys)).map(({ setting }) => setting)).toEqual(hints);
});

const thread = (slot: number, isHome: boolean, reason: string, ...keys: string[]): Explained =>
  explained({
    reason,
    threads: [{ slot, isHome, action: 'fill', reason }],
    near: near(...keys),
    because: 'nothing stored under this key',
  });

test('a node says what the home of the object says, and what each thread would do', () => {
  const { explanation } = nodeExplained([
    thread(1, false, 'vary-miss', 's http://h/a?b=2'),
    thread(0, true, 'uri-miss'),
  ]);
  expect(explanation).toMatchObject({
    reason: 'uri-miss',
    because: 'nothing stored under this key; one stored key differs only in `utm_source`',
    threads: [{ slot: 0 }, { slot: 1 }],
    near: { alike: 1, looked: 1, of: 1 },
    hints: [{ setting: 'key.query' }],
  });
  expect(() => nodeExplained([])).toThrow('No thread');
});

test('a line for a header is bounded, and ASCII', () => {
  const { explanation } = explained({ because: 'köstlich \u{1f600}\r\n' });
  const short = explanationLine(explanation, 0);
  expect(short).toMatch(/^[\x20-\x7e]+$/);
  expect(JSON.parse(short)).toMatchObject({ because: 'köstlich \u{1f600}\r\n' });
  const long = 'x'.repeat(8000);
  const hints = [{ text: long, setting: null }];
  const cut = explanationLine(
    { ...explanation, because: long, hints, key: { text: long, inputs: [] } },
    0,
  );
  expect(cut.length).toBeLessThanOrEqual(2048);
  expect(JSON.parse(cut)).toMatchObject({ node: 'a', shortened: true });
});

test('whether a key is hot is told without counting it', () => {
  const keys = new HotKeys();
  for (let i = 0; i < 100; i++) {
    expect(keys.isHot('a', 0)).toBe(false);
    keys.note('a', 0);
  }
  expect(keys.isHot('a', 0)).toBe(true);
  expect(keys.note('a', 0)).toBe(true);
  expect(keys.isHot('a', 1000)).toBe(true);
  expect(keys.isHot('a', 2000)).toBe(false);
});
