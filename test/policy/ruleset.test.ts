import { describe, expect, test } from 'vitest';
import type { Match } from '#core/contract/rules/match.ts';
import { ruleSchema } from '#core/contract/rules/rule.ts';
import { validate } from '#core/contract/validate.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { type AnswerFacts, RequestFacts } from '#core/rules/facts.ts';
import { Ruleset } from '#core/rules/ruleset.ts';
import { templateOf } from '#core/rules/template.ts';

const REQUEST: ClientRequest = {
  method: 'GET',
  scheme: 'https',
  authority: 'www.example.org',
  host: 'www.example.org',
  target: '/shop/a.html?color=red&size',
  fields: ['User-Agent', 'Mozilla/5.0 (iPhone) Mobile', 'Cookie', 'plan=gold; id=7', 'X-A', 'One'],
  hasContent: false,
  upgrade: undefined,
  expectsContinue: false,
};
const facts = (request: Partial<ClientRequest> = {}, address = '203.0.113.9'): RequestFacts =>
  new RequestFacts({ ...REQUEST, ...request }, address, {
    countryOf: (of) => (of.startsWith('203.') ? 'DE' : 'ZZ'),
    asnOf: (of) => (of.startsWith('203.') ? 64_496 : undefined),
  });
const HTML: AnswerFacts = { status: 200, contentType: 'text/html' };

const rule = (input: unknown) => validate(ruleSchema, input, 'rule');
const unmet = (match: Match, request = facts(), answer: AnswerFacts | undefined = HTML) =>
  new Ruleset([rule({ match, responseHeaders: { remove: ['x'] } })]).verdicts(request, answer)[0]
    ?.unmet;

test.each<[string, Match, string | undefined]>([
  ['method', { method: ['GET', 'HEAD'] }, undefined],
  ['another method', { method: ['POST'] }, 'method'],
  ['scheme', { scheme: 'https' }, undefined],
  ['another scheme', { scheme: 'http' }, 'scheme'],
  ['host', { host: ['www.example.org'] }, undefined],
  ['a wildcard host', { host: ['*.example.org'] }, undefined],
  ['a wildcard that is not for the name itself', { host: ['*.www.example.org'] }, 'host'],
  ['every host', { host: ['*'] }, undefined],
  ['one of several paths', { path: ['/a', '/shop/**'] }, undefined],
  ['no such path', { path: ['/a', '/b'] }, 'path'],
  ['a parameter', { query: { color: true } }, undefined],
  ['a parameter without value', { query: { size: true } }, undefined],
  ['a parameter that must not be', { query: { color: false } }, 'query'],
  ['the value of a parameter', { query: { color: ['blue', 'r*d'] } }, undefined],
  ['a value in other letter case', { query: { color: 'RED' } }, 'query'],
  ['a field in any letter case', { headers: { 'user-agent': '*IPHONE*' } }, undefined],
  ['a field that must not be', { headers: { referer: false } }, undefined],
  ['a field that is not there', { headers: { referer: '*' } }, 'headers'],
  ['all of several fields', { headers: { 'x-a': 'one', 'x-b': true } }, 'headers'],
  ['a cookie', { cookies: { plan: 'gold' } }, undefined],
  ['a cookie of another value', { cookies: { plan: 'silver' } }, 'cookies'],
  ['a network', { address: ['2001:db8::/32', '203.0.113.0/24'] }, undefined],
  ['another network', { address: ['198.51.100.0/24'] }, 'address'],
  ['a country', { country: ['FR', 'DE'] }, undefined],
  ['another country', { country: ['FR'] }, 'country'],
  ['an autonomous system', { asn: [64_496] }, undefined],
  ['another autonomous system', { asn: [64_497] }, 'asn'],
  ['a class of device', { deviceClass: ['phone'] }, undefined],
  ['another class of device', { deviceClass: ['bot'] }, 'deviceClass'],
  ['all clients', { sample: { fraction: 1, by: 'address', seed: '' } }, undefined],
  ['no client', { sample: { fraction: 0, by: 'address', seed: '' } }, 'sample'],
  ['a status', { status: ['200-299'] }, undefined],
  ['another status', { status: [404] }, 'status'],
  ['a media type', { contentType: ['text/'] }, undefined],
  ['what is excluded', { method: ['GET'], not: { country: ['DE'] } }, 'not'],
  ['all but what is excluded', { not: { country: ['DE'], method: ['POST'] } }, undefined],
  ['the first of two that fail', { method: ['POST'], country: ['FR'] }, 'method'],
])('a rule matches by %s', (_, match, expected) => {
  expect(unmet(match)).toBe(expected);
});

test('a condition on an answer that is not known yet does not hold', () => {
  const set = new Ruleset([rule({ match: { status: [200] }, responseHeaders: { remove: ['x'] } })]);
  expect(set.verdicts(facts(), undefined)[0]?.unmet).toBe('status');
});

test('what is no address is in no network and of no country', () => {
  expect(unmet({ address: ['0.0.0.0/0'] }, facts({}, 'unknown'))).toBe('address');
  expect(unmet({ country: ['ZZ'] }, facts({}, 'unknown'))).toBeUndefined();
});

const held = (seed: string) =>
  Array.from({ length: 4000 }, (_, i) => `10.${i >> 8}.${i & 255}.1`).filter(
    (address) =>
      unmet({ sample: { fraction: 0.25, by: 'address', seed } }, facts({}, address)) === undefined,
  );

test('a sample holds its fraction of the clients, the same at each look, others by another seed', () => {
  const clients = held('a');
  expect(held('a')).toEqual(clients);
  expect(clients.length).toBeGreaterThan(900);
  expect(clients.length).toBeLessThan(1100);
  const both = new Set(held('b')).intersection(new Set(clients));
  expect(both.size).toBeLessThan(350);
});

test('a sample by cookie follows the cookie wherever the client is', () => {
  const match: Match = { sample: { fraction: 0.5, by: { cookie: 'id' }, seed: '' } };
  const at = (id: string, address: string) =>
    unmet(match, facts({ fields: ['Cookie', `id=${id}`] }, address));
  for (let id = 0; id < 50; id++) {
    expect(at(String(id), '10.0.0.1')).toBe(at(String(id), '192.0.2.77'));
  }
});

test('the actions of all rules that match come in the order of the rules', () => {
  const set = new Ruleset([
    rule({ deny: true }),
    rule({ match: { country: ['FR'] }, deny: true }),
    rule({ match: { country: ['DE'] }, deny: false }),
  ]);
  expect(set.forRequest(facts()).deny).toEqual([true, false]);
  expect(set.forRequest(facts({}, '10.0.0.1')).deny).toEqual([true]);
});

test('rules for objects alone leave requests and answers alone', () => {
  const objects = rule({ match: { path: '/a' }, cache: { minFreshSeconds: 1 } });
  expect(new Ruleset([objects]).isIdle).toBe(true);
  expect(new Ruleset([objects, rule({ deny: true })]).isIdle).toBe(false);
});

const changed = (changes: unknown, request = facts()) => {
  const [change] = new Ruleset([rule({ responseHeaders: changes })]).forAnswer(
    request,
    HTML,
  ).responseHeaders;
  return change?.(['X-A', '1', 'x-a', '2', 'Server', 'x', 'X-B', '3'], request);
};

describe('changes of a header section', () => {
  test.each<[string, unknown, string[]]>([
    ['remove', { remove: ['X-a'] }, ['Server', 'x', 'X-B', '3']],
    ['remove all that begin so', { remove: ['x-*'] }, ['Server', 'x']],
    ['set', { set: { 'X-A': '9' } }, ['Server', 'x', 'X-B', '3', 'X-A', '9']],
    [
      'append',
      { append: { Server: 'y' } },
      ['X-A', '1', 'x-a', '2', 'Server', 'x', 'X-B', '3', 'Server', 'y'],
    ],
    [
      'remove, set and append at once',
      { remove: ['x-*'], set: { 'X-C': 'c' }, append: { 'X-C': 'd' } },
      ['Server', 'x', 'X-C', 'c', 'X-C', 'd'],
    ],
  ])('%s', (_, changes, expected) => {
    expect(changed(changes)).toEqual(expected);
  });
});

test.each([
  ['${client.address}', '203.0.113.9'],
  ['${client.country}/${client.asn}/${client.device}', 'DE/64496/phone'],
  [
    '${request.scheme}://${request.host}${request.target}',
    'https://www.example.org/shop/a.html?color=red&size',
  ],
  ['${request.method} ${request.path} ${request.query}', 'GET /shop/a.html color=red&size'],
  ['${request.header.X-A}-${request.cookie.plan}-${request.parameter.color}', 'One-gold-red'],
  ['<${request.header.none}${request.cookie.none}${request.parameter.none}>', '<>'],
])('%s stands for what is known of the request', (text, expected) => {
  expect(templateOf(text)(facts())).toBe(expected);
});

test.each<[string, unknown, string]>([
  ['no action', { match: { path: '/a' } }, '(root): expected at least one of deny'],
  ['no condition', { match: {}, deny: true }, 'match: expected at least one condition'],
  [
    'an unknown condition',
    { match: { planet: 1 }, deny: true },
    'match.planet: expected no such field',
  ],
  [
    'a condition that comes too late',
    { match: { status: [200] }, deny: true },
    'match.status: expected no condition that deny is decided without',
  ],
  [
    'an excluded condition that comes too late',
    { match: { not: { status: [200] } }, deny: true },
    'match.not.status: expected no condition that deny is decided without',
  ],
  [
    'a condition on objects that mid-tiers cannot tell',
    { match: { country: ['DE'] }, cache: { minFreshSeconds: 1 } },
    'match.country: expected no condition that cache is decided without',
  ],
  [
    'a country that is none',
    { match: { country: ['de'] }, deny: true },
    'match.country.0: expected two capital',
  ],
  [
    'a network that is none',
    { match: { address: ['10.0.0.1'] }, deny: true },
    'match.address.0: expected a network',
  ],
  [
    'an unknown variable',
    { responseHeaders: { set: { A: '${client.planet}' } } },
    'expected of variables only',
  ],
  [
    'a limit that tells clients apart by what is unknown',
    { rateLimit: { requests: 1, windowSeconds: 1, by: 'planet' } },
    'rateLimit.by: expected "address" or "token"',
  ],
  ['a token without keys', { requireToken: {} }, 'requireToken: expected jwks or keys'],
  [
    'a private key',
    { requireToken: { keys: [{ kty: 'EC', d: 'x' }] } },
    'requireToken.keys.0: expected a public key as JWK',
  ],
  [
    'keys from elsewhere than HTTP',
    { requireToken: { jwks: 'file:///etc/passwd' } },
    'requireToken.jwks: expected an http:// or https:// URL',
  ],
  [
    'a guard that waits for the answer',
    { match: { status: [404] }, concurrency: { requests: 1 } },
    'match.status: expected no condition that concurrency is decided without',
  ],
  ['a line break', { responseHeaders: { set: { A: 'a\r\nB: c' } } }, 'expected a field value'],
  [
    'a field that frames',
    { responseHeaders: { set: { 'Content-Length': '1' } } },
    'responseHeaders.set: expected for a key, a field that nodes',
  ],
  ['no change', { responseHeaders: {} }, 'expected at least one of remove, set, append'],
])('%s is refused', (_, input, message) => {
  expect(() => rule(input)).toThrow(message);
});
