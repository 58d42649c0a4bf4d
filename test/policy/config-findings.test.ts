import { expect, test } from 'vitest';
import type { Addresses } from '#control-plane/config/addresses.ts';
import { findingsOf, requireNoErrors } from '#control-plane/config/findings.ts';
import { functionFindings } from '#control-plane/config/functions.ts';
import { nodeSchema } from '#core/contract/node.ts';
import { type SiteInput, siteSchema } from '#core/contract/site.ts';

const site = (name: string, hosts: string[], more: Partial<SiteInput> = {}) =>
  siteSchema.parse({ name, hosts, origin: { kind: 'push' }, ...more });
const pulling = (url: string, hosts = ['a.example']) =>
  site('shop', hosts, { origin: { kind: 'pull', servers: [{ url }] } });

const node = (name: string, tier: string, url: string) =>
  nodeSchema.parse({ name, tier, url, location: { name: 'oslo', latitude: 59, longitude: 10 } });
const nodes = [
  node('edge-oslo', 'edge', 'http://edge.example:8080'),
  node('edge-rome', 'edge', 'https://[2001:db8::1]'),
  node('origin', 'origin', 'http://10.0.0.9:8082'),
];
const addresses: Addresses = new Map([
  ['edge.example', ['192.0.2.1', '2001:db8::2']],
  ['[2001:db8::1]', ['2001:db8::1']],
  ['10.0.0.9', ['10.0.0.9']],
  ['192.0.2.1', ['192.0.2.1']],
  ['cname-to-edge.example', ['192.0.2.1']],
  ['rome.example', ['2001:db8::1']],
  ['far.example', ['198.51.100.1']],
  ['www.a.example', ['198.51.100.1']],
]);

const shop = (hosts: string[]) => [
  site('shop', hosts),
  site('blog', ['blog.example', '*.b.example']),
];

test.for<[what: string, sites: ReturnType<typeof site>[], expected: string[]]>([
  ['nothing', shop(['a.example', '*.a.example']), []],
  ['the same host as another', shop(['a.example', 'blog.example']), ['error host-claimed']],
  ['the same wildcard', shop(['*.b.example']), ['error host-claimed']],
  ["a name under another's wildcard", shop(['www.b.example']), ['warning host-taken']],
  ["a wildcard under another's", shop(['*.www.b.example']), ['warning host-taken']],
  [
    'a name under its own, longer wildcard',
    shop(['*.x.b.example', 'y.x.b.example']),
    ['warning host-taken'],
  ],
  ["the name above another's wildcard", shop(['b.example']), []],
  ['every host', shop(['*']), []],
  ["a name that another's * matches", [site('shop', ['a.example']), site('rest', ['*'])], []],
  ['an address of a node', [pulling('http://192.0.2.1:8080')], ['error origin-is-ours']],
  [
    'a name that leads to a node',
    [pulling('http://cname-to-edge.example:8080')],
    ['error origin-is-ours'],
  ],
  ['a node by its default port', [pulling('https://rome.example')], ['error origin-is-ours']],
  ['another port of such an address', [pulling('http://192.0.2.1:3000')], []],
  ['a name that nobody knows', [pulling('http://gone.example')], ['warning origin-unresolved']],
  [
    'an origin that is a host of the site',
    [pulling('http://www.a.example', ['*.a.example'])],
    ['warning origin-is-own-host'],
  ],
  ['an origin that only * matches', [pulling('http://far.example', ['*'])], []],
  [
    'a group without mid-tiers',
    [site('shop', ['a.example'], { shieldGroup: 'asia' })],
    ['warning unknown-group'],
  ],
  [
    'signatures that nobody can make',
    [site('shop', ['a.example'], { rules: [{ requireSignature: {} }] })],
    ['warning unknown-key'],
  ],
  [
    'signatures by a key that is none',
    [
      site('shop', ['a.example'], {
        signingKeys: [{ id: 'a', secret: 'a secret of the tests' }],
        rules: [{ requireSignature: { keys: ['a', 'b'] } }],
      }),
    ],
    ['warning unknown-key'],
  ],
])('findingsOf: %s', ([, sites, expected]) => {
  const found = findingsOf(sites, new Set(['shop']), { nodes, addresses });
  expect(found.map(({ severity, kind }) => `${severity} ${kind}`)).toEqual(expected);
  expect(found.every(({ site: name }) => name === 'shop')).toBe(true);
});

test('findingsOf: content to be put where there is no origin', () => {
  const found = findingsOf(shop(['a.example']), new Set(['shop']), { nodes: [], addresses });
  expect(found).toEqual([
    {
      kind: 'no-origin',
      severity: 'warning',
      site: 'shop',
      message: 'The network has no origin yet',
    },
  ]);
});

test('findingsOf leaves in peace what has not changed', () => {
  expect(findingsOf(shop(['blog.example']), new Set(), { nodes, addresses })).toEqual([]);
});

const found = (sites: ReturnType<typeof site>[]) =>
  findingsOf(sites, new Set(['shop']), { nodes, addresses });

test('requireNoErrors lets warnings pass', () => {
  requireNoErrors(found(shop(['www.b.example'])));
  expect(() => requireNoErrors(found(shop(['blog.example'])))).toThrow(
    'Host "blog.example" of site "shop" is claimed by site "blog"',
  );
  expect(() => requireNoErrors(found([pulling('http://192.0.2.1:8080')]))).toThrow(
    'sites.shop.origin: expected an origin outside of this network, received http://192.0.2.1:8080 is node "edge-oslo"',
  );
});

const ORIGINS: Partial<SiteInput> = {
  origin: { kind: 'pull', servers: [{ url: 'http://far.example' }] },
  origins: { canary: { kind: 'pull', servers: [{ url: 'http://far.example:81' }] } },
};

test.for<[what: string, rules: SiteInput['rules'], expected: string[]]>([
  ['an origin that it has', [{ origin: { name: 'canary' } }], []],
  ['another origin', [{ origin: { name: 'test' } }], ['error unknown-origin']],
  [
    'a host of another site',
    [{ match: { host: ['b.example'] }, deny: true }],
    ['warning rule-never-matches'],
  ],
  ['a host of its own', [{ match: { host: ['*.example'] }, deny: true }], []],
  [
    'no clients',
    [{ match: { sample: { fraction: 0 } }, deny: true }],
    ['warning rule-never-matches'],
  ],
  [
    'what it excludes',
    [{ match: { method: ['GET'], not: { method: ['GET', 'HEAD'] } }, deny: true }],
    ['warning rule-never-matches'],
  ],
  [
    'a part of it',
    [{ match: { method: ['GET', 'PUT'], not: { method: ['GET'] } }, deny: true }],
    [],
  ],
  [
    'what is refused anyway',
    [{ deny: true }, { match: { path: '/a' }, redirect: { to: '/b' } }],
    ['warning rule-without-effect'],
  ],
  [
    'what may be allowed again',
    [{ deny: true }, { match: { path: '/a' }, deny: false }, { redirect: { to: '/b' } }],
    [],
  ],
  [
    'what a later rule overrides',
    [{ match: { path: '/a' }, deny: true }, { deny: false }],
    ['warning rule-without-effect'],
  ],
  [
    'a change of what is answered at the edge',
    [{ respond: { status: 503 } }, { rewrite: { to: '/b' } }],
    ['warning rule-without-effect'],
  ],
  [
    'a canonical host',
    [{ redirect: { to: 'https://a.example${request.path}' } }, { rewrite: { to: '/b' } }],
    [],
  ],
])('a rule for %s', ([, rules, expected]) => {
  const ruled = site('shop', ['a.example'], { ...ORIGINS, rules });
  const findings = findingsOf([ruled], new Set(['shop']), { nodes: [], addresses });
  expect(findings.map(({ severity, kind }) => `${severity} ${kind}`)).toEqual(expected);
});

test('other origins are looked at like the main one', () => {
  const origins = {
    canary: { kind: 'pull' as const, servers: [{ url: 'http://192.0.2.1:8080' }] },
  };
  const looked = site('shop', ['a.example'], { ...ORIGINS, origins });
  const findings = findingsOf([looked], new Set(['shop']), { nodes, addresses });
  expect(findings.map(({ kind }) => kind)).toEqual(['origin-is-ours']);
});

test('findingsOf: a rule that calls a function which the site has not', () => {
  const functions = { main: { source: 'x' } };
  const rules = [{ function: 'main' }, { function: 'other' }];
  const sites = [site('shop', ['a.example'], { functions, rules })];
  expect(found(sites).map(({ kind }) => kind)).toEqual(['unknown-function']);
  expect(() => requireNoErrors(found(sites))).toThrow(
    "sites.shop.rules: expected one of the site's functions, received Rule 1 calls",
  );
});

test('functionFindings: a function that cannot be loaded, and where', async () => {
  const functions = { good: { source: 'export const onRequest = () => {}' }, bad: { source: '}' } };
  const sites = [site('shop', ['a.example'], { functions })];
  const [broken] = await functionFindings(sites, new Set(['shop']));
  expect(broken).toMatchObject({ kind: 'broken-function', severity: 'error' });
  expect(broken?.message).toMatch(/^bad: SyntaxError: .* at function\.js:1/);
  expect(await functionFindings(sites, new Set())).toEqual([]);
});
