import { expect, test } from 'vitest';
import { configSchema, journalEventSchema } from '#core/contract/event.ts';
import { nodeSchema } from '#core/contract/node.ts';
import { acknowledgementSchema, heartbeatSchema } from '#core/contract/report.ts';
import { siteSchema } from '#core/contract/site.ts';
import { InvalidInput, validate } from '#core/contract/validate.ts';

const site = {
  name: 'shop',
  hosts: ['www.example.org'],
  origin: { kind: 'pull', servers: [{ url: 'https://origin.example.org' }] },
};
const node = {
  name: 'edge-oslo',
  tier: 'edge',
  location: { name: 'oslo', latitude: 59.9, longitude: 10.7 },
  url: 'http://127.0.0.1:8080',
};
const load = {
  requests: 0,
  hits: 0,
  upstreamRequests: 0,
  bytesSent: 0,
  objects: 0,
  storedBytes: 0,
};
const heartbeat = { fence: 1, pid: 1, version: '0.1.0', load };

test('a site fills in its defaults', () => {
  expect(validate(siteSchema, site, 'site')).toMatchObject({
    cache: { defaultFreshSeconds: null, staleIfErrorSeconds: 86_400 },
    upstream: { connectTimeoutMs: 500 },
    origin: { hostHeader: 'origin', servers: [{ priority: 0 }] },
    onLeaseEnd: 'serve',
  });
});

const SCHEMAS = {
  site: siteSchema,
  node: nodeSchema,
  event: journalEventSchema,
  heartbeat: heartbeatSchema,
  acknowledgement: acknowledgementSchema,
  config: configSchema,
};

test.each<[keyof typeof SCHEMAS, unknown, string]>([
  ['site', { ...site, hots: [] }, 'hots: expected no such field, received []'],
  ['site', { ...site, name: 7 }, 'name: expected string, received 7'],
  [
    'site',
    { ...site, name: 'Shop' },
    'name: expected a name of a-z, 0-9 and - (1 to 63 characters), received "Shop"',
  ],
  ['site', { ...site, hosts: [] }, 'hosts: expected a number of items of at least 1, received []'],
  [
    'site',
    { ...site, hosts: ['a:80'] },
    'hosts.0: expected a lower-case hostname, *.hostname, or *, without a port, received "a:80"',
  ],
  [
    'site',
    { ...site, cache: { staleIfErrorSeconds: '1d' } },
    'cache.staleIfErrorSeconds: expected number, received "1d"',
  ],
  [
    'site',
    { ...site, key: { query: { exclude: ['*utm'] } } },
    'key.query.exclude.0: expected a parameter name as in the URL, at most with a trailing *, received "*utm"',
  ],
  [
    'site',
    { ...site, key: { headers: ['Accept'] } },
    'key.headers.0: expected a field name in lower case, received "Accept"',
  ],
  ...['cookie', 'range', 'connection', 'accept-encoding', 'x-forwarded-for', 'canopy-site'].map(
    (name): [keyof typeof SCHEMAS, unknown, string] => [
      'site',
      { ...site, key: { headers: [name] } },
      `key.headers.0: expected a field that nodes pass on as the client sent it (cookies have key.cookies), received "${name}"`,
    ],
  ),
  [
    'site',
    { ...site, rules: [{ match: {}, cache: {} }] },
    'rules.0.match: expected at least one condition, received {}',
  ],
  [
    'site',
    { ...site, rules: [{ match: { status: ['500-400'] }, cache: {} }] },
    'rules.0.match.status.0: expected a status, or a range such as "500-599", received "500-400"',
  ],
  [
    'site',
    { ...site, rules: [{ match: { path: '/a**' }, cache: {} }] },
    'rules.0.match.path: expected a path with / first, ** only between slashes, received "/a**"',
  ],
  [
    'site',
    { ...site, rules: [{ match: { path: '/' }, cache: { exposeTags: true } }] },
    'rules.0.cache.exposeTags: expected no such field, received true',
  ],
  ['site', { ...site, cache: { ttl: 5 } }, 'cache.ttl: expected no such field, received 5'],
  [
    'site',
    { ...site, upstream: { connectTimeoutMs: 0 } },
    'upstream.connectTimeoutMs: expected a number of at least 1, received 0',
  ],
  [
    'site',
    { ...site, onLeaseEnd: 'stop' },
    'onLeaseEnd: expected "serve" or "revalidate", received "stop"',
  ],
  [
    'site',
    { ...site, origin: { kind: 'pull', servers: [{ url: 'example.org/x' }] } },
    'origin.servers.0.url: expected an http:// or https:// URL of a host and optional port, without path, received "example.org/x"',
  ],
  [
    'site',
    { ...site, origin: { kind: 'ftp' } },
    'origin.kind: expected a known kind, received "ftp"',
  ],
  ['site', 'shop', '(root): expected object, received "shop"'],
  [
    'node',
    { ...node, tier: 'shield' },
    'tier: expected "edge" or "mid-tier" or "origin" or "router", received "shield"',
  ],
  [
    'node',
    { ...node, location: { ...node.location, latitude: 91 } },
    'location.latitude: expected a number of at most 90, received 91',
  ],
  ['node', { ...node, port: 80 }, 'port: expected no such field, received 80'],
  [
    'event',
    { sequence: 0, at: 0, type: 'site.delete', name: 'a' },
    'sequence: expected a number of at least 1, received 0',
  ],
  [
    'event',
    { sequence: 1, at: 0, type: 'site.rename', name: 'a' },
    'type: expected a known type, received "site.rename"',
  ],
  [
    'event',
    {
      sequence: 1,
      at: 0,
      type: 'purge',
      purge: { id: 'p', mode: 'loud', target: { kind: 'site', site: 'a' } },
    },
    'purge.mode: expected "hard" or "soft" or "refresh" or "ban", received "loud"',
  ],
  [
    'heartbeat',
    { ...heartbeat, load: { ...load, hits: -1 } },
    'load.hits: expected a number of at least 0, received -1',
  ],
  ['heartbeat', { ...heartbeat, fence: 1.5 }, 'fence: expected a whole number, received 1.5'],
  ['acknowledgement', {}, 'fence: expected number, received nothing'],
  [
    'config',
    { journal: 'j', sequence: 1, network: { tierKey: 'short' }, sites: [], nodes: [] },
    'network.tierKey: expected a length of at least 16, received "short"',
  ],
])('%s %#: names the field, what was expected and what came', (subject, input, message) => {
  expect(() => validate(SCHEMAS[subject], input, subject)).toThrow(
    new InvalidInput(subject, []).message + message,
  );
});

test('every issue is named, in one line', () => {
  const input = { ...site, name: 'Shop', hosts: 'x', extra: true };
  const error = (() => {
    try {
      return validate(siteSchema, input, 'site');
    } catch (thrown) {
      return thrown as InvalidInput;
    }
  })();
  expect(error).toBeInstanceOf(InvalidInput);
  expect((error as InvalidInput).issues.map(({ path }) => path).toSorted()).toEqual([
    'extra',
    'hosts',
    'name',
  ]);
  expect((error as InvalidInput).message).not.toContain('\n');
});

test('a valid event and configuration come back as they are', () => {
  const event = {
    sequence: 1,
    at: 0,
    type: 'node.put',
    node: { ...node, capacity: 1, draining: false },
  };
  expect(validate(journalEventSchema, event, 'event')).toEqual(event);
});
