import { describe, expect, it, test } from 'vitest';
import { prioritized, reportsOf } from '#control-plane/routing/http/steering.ts';
import { router } from '#test/client/kit.ts';

const URLS = ['http://192.0.2.1', 'http://192.0.2.2:8080', 'http://192.0.2.3'];
const STEERED = { routing: { steering: { slowBelowBitsPerSecond: 1_000_000 } } };

const at = (name: string) => ({ name, url: '', location: '', roundTripMs: null });
const ranked = ['oslo', 'rome', 'lisbon'].map(at);
/** Oslo and Rome are equally near. */
const EDGES = { ranked, chosen: new Set(['oslo', 'rome']) };

describe('the priority of pathways', () => {
  it.each([
    ['is the order of the edges', '', ['oslo', 'rome', 'lisbon']],
    [
      'keeps a player where it is among the nearest',
      '_HLS_pathway=rome',
      ['rome', 'oslo', 'lisbon'],
    ],
    ['moves it from what is farther', '_HLS_pathway=lisbon', ['oslo', 'rome', 'lisbon']],
    ['moves it from the pathway of the playlist', '_HLS_pathway=.', ['oslo', 'rome', 'lisbon']],
    [
      'moves it from what is too slow',
      '_HLS_pathway=oslo&_HLS_throughput=999',
      ['rome', 'lisbon', 'oslo'],
    ],
    [
      'not from what is fast enough',
      '_HLS_pathway=rome&_HLS_throughput=5000',
      ['rome', 'oslo', 'lisbon'],
    ],
    ['takes quotes', '_HLS_pathway="rome"', ['rome', 'oslo', 'lisbon']],
    [
      'takes what DASH says',
      '_DASH_pathway="rome"&_DASH_throughput=5000',
      ['rome', 'oslo', 'lisbon'],
    ],
    [
      'takes the last that DASH has used for where it is',
      '_DASH_pathway="oslo,rome"&_DASH_throughput=20372000,',
      ['rome', 'oslo', 'lisbon'],
    ],
    [
      'takes all that DASH has used',
      '_DASH_pathway="lisbon,oslo"&_DASH_throughput=5000,10',
      ['rome', 'lisbon', 'oslo'],
    ],
    [
      'takes no nonsense for a number',
      '_HLS_pathway=rome&_HLS_throughput=-1',
      ['rome', 'oslo', 'lisbon'],
    ],
  ])('%s', (_, query, order) => {
    expect(prioritized(EDGES, reportsOf(new URLSearchParams(query)), 1000)).toEqual(order);
  });
});

const steering = async (base: string, query: string) => {
  const answer = await fetch(`${base}/.canopy/steering?${query}`);
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as object };
};

test('a router answers a steering manifest of version 1, for players of any page', async () => {
  const { status, headers, body } = await steering(await router(URLS, STEERED), 'site=film');
  expect([status, headers.get('access-control-allow-origin')]).toEqual([200, '*']);
  expect(body).toEqual({
    VERSION: 1,
    TTL: 10,
    'RELOAD-URI': '/.canopy/steering?site=film',
    'PATHWAY-PRIORITY': ['edge-0', 'edge-1', 'edge-2', '.'],
    'PATHWAY-CLONES': ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((host, i) => ({
      'BASE-ID': '.',
      ID: `edge-${i}`,
      'URI-REPLACEMENT': { HOST: host },
    })),
  });
});

test('a site names its own pathway, and how long an answer holds', async () => {
  const own = { routing: { steering: { basePathway: 'cdn-a', ttlSeconds: 300 } } };
  const { body } = await steering(await router(URLS.slice(0, 1), own), 'site=film');
  expect(body).toMatchObject({
    TTL: 300,
    'PATHWAY-PRIORITY': ['edge-0', 'cdn-a'],
    'PATHWAY-CLONES': [{ 'BASE-ID': 'cdn-a' }],
  });
});

test.each([
  ['that does not exist', STEERED, 'site=other'],
  ['that is not steered', {}, 'site=film'],
])('there is no steering for a site %s', async (_, site, query) => {
  const { status, headers, body } = await steering(await router(URLS, site), query);
  expect([status, headers.get('access-control-allow-origin')]).toEqual([404, '*']);
  expect(body).toMatchObject({ code: 'not-found' });
});

test('a path that is no URL by itself is redirected as it is', async () => {
  const answer = await fetch(`${await router(URLS)}//?a=?b`, { redirect: 'manual' });
  expect([answer.status, answer.headers.get('location')]).toEqual([302, 'http://192.0.2.1//?a=?b']);
});
