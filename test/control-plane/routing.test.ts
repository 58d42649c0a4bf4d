import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configFor, eventFor } from '#control-plane/journal/redact.ts';
import { mmdb } from '#test/routing/mmdb.ts';
import { eventually, temporaryDir, TestControlPlane } from './kit.ts';

const ZONE = { zones: [{ name: 'cdn.example' }] };

async function withEdges(geoDatabases: readonly string[] = []): Promise<TestControlPlane> {
  const plane = await TestControlPlane.start({ geoDatabases });
  await plane.addSite('film', 'www.film.example');
  const cities = [
    ['oslo', 59.91, 10.75],
    ['tokyo', 35.68, 139.69],
  ] as const;
  for (const [name, latitude, longitude] of cities) {
    const { body } = await plane.call('PUT', `/v1/nodes/${name}`, {
      tier: 'edge',
      location: { name, latitude, longitude },
      url: 'http://198.18.0.1',
      limits: { requestsPerSecond: 10 },
    });
    await plane.heartbeat(String(body['credential']), 0);
  }
  return plane;
}

describe('routing', () => {
  test('has no zones at first, takes them, and changes nothing when told the same', async () => {
    const plane = await TestControlPlane.start();
    expect(await plane.get('/v1/routing')).toEqual({ zones: [], overrides: [], spillAt: 0.8 });
    const put = await plane.call('PUT', '/v1/routing', ZONE);
    expect(put.status).toBe(200);
    const again = await plane.call('PUT', '/v1/routing', ZONE);
    expect(again.body['sequence']).toBe(put.body['sequence']);
    expect(await plane.get('/v1/routing')).toMatchObject({ zones: [{ name: 'cdn.example' }] });
    // A rotation of the tier key keeps it.
    await plane.call('POST', '/v1/network/rotate-tier-key');
    expect(await plane.get('/v1/routing')).toMatchObject({ zones: [{ name: 'cdn.example' }] });
  });

  test.each([
    ['a record outside its zone', { name: 'a.other.example', type: 'A', values: ['192.0.2.1'] }],
    ['a CNAME at the zone', { name: 'cdn.example', type: 'CNAME', values: ['a.example'] }],
    ['an address that is none', { name: 'a.cdn.example', type: 'A', values: ['nonsense'] }],
    ['a type that is not kept', { name: 'a.cdn.example', type: 'MX', values: ['a.example'] }],
  ])('refuses %s', async (_, record) => {
    const plane = await TestControlPlane.start();
    const zones = [{ name: 'cdn.example', records: [record] }];
    const { status, body } = await plane.call('PUT', '/v1/routing', { zones });
    expect([status, body['code']]).toEqual([422, 'invalid-input']);
    expect(String(body['detail'])).toContain('zones.0.records.0');
  });

  test('makes a key for a zone that is to be signed, once, and tells routers alone', async () => {
    const plane = await TestControlPlane.start();
    await plane.call('PUT', '/v1/routing', ZONE);
    expect(await plane.get('/v1/routing/ds')).toEqual({ zones: [] });
    const wanted = { zones: [{ name: 'cdn.example', dnssec: true }] };
    await plane.call('PUT', '/v1/routing', wanted);
    const told = await plane.get<{ zones: object[] }>('/v1/routing/ds');
    expect(told.zones).toEqual([
      {
        zone: 'cdn.example',
        keyTag: expect.any(Number) as number,
        algorithm: 13,
        digestType: 2,
        digest: expect.stringMatching(/^[0-9A-F]{64}$/) as string,
      },
    ]);
    // The parent has been told of it: it stays, whatever comes between.
    await plane.call('PUT', '/v1/routing', { zones: [] });
    expect(await plane.get('/v1/routing/ds')).toEqual({ zones: [] });
    await plane.call('PUT', '/v1/routing', wanted);
    await plane.call('POST', '/v1/network/rotate-tier-key');
    expect(await plane.get('/v1/routing/ds')).toEqual(told);
    expect(JSON.stringify(await plane.get('/v1/journal'))).not.toContain('dnssecKeys');
    expect(JSON.stringify(await plane.get('/v1/routing'))).not.toContain('"key"');
  });

  test('refuses a zone within one that is signed', async () => {
    const plane = await TestControlPlane.start();
    const zones = [{ name: 'a.cdn.example' }, { name: 'cdn.example', dnssec: true }];
    const { status, body } = await plane.call('PUT', '/v1/routing', { zones });
    expect([status, body['code']]).toEqual([422, 'invalid-input']);
    expect(String(body['detail'])).toContain('zones.0.name');
  });

  test.each([
    ['router', 1],
    ['edge', 0],
    ['mid-tier', 0],
    ['origin', 0],
  ] as const)('tells a %s of so many keys of zones: %i', (tier, count) => {
    const network = { tierKey: 'k'.repeat(16), dnssecKeys: [{ zone: 'cdn.example', key: 'a' }] };
    const config = { journal: 'j', sequence: 1, bans: [], certificates: [], nodes: [], sites: [] };
    const node = { name: 'one', tier };
    const event = { sequence: 1, at: 1, type: 'network.put', network } as const;
    const told = [configFor(node, { ...config, network }).network, eventFor(node, event)];
    expect(told.map((one) => JSON.stringify(one).includes('dnssecKeys'))).toEqual(
      told.map(() => count === 1),
    );
  });

  test('takes TXT records for ACME one by one', async () => {
    const plane = await TestControlPlane.start();
    await plane.call('PUT', '/v1/routing', ZONE);
    const path = '/v1/routing/txt/_acme-challenge.film.cdn.example';
    expect((await plane.call('PUT', path, { values: ['one', 'two'] })).status).toBe(200);
    expect((await plane.call('PUT', path, { values: ['three'] })).status).toBe(200);
    const records = async () => {
      const { zones } = await plane.get<{ zones: { records: unknown[] }[] }>('/v1/routing');
      return zones[0]?.records;
    };
    expect(await records()).toEqual([
      {
        name: '_acme-challenge.film.cdn.example',
        type: 'TXT',
        ttlSeconds: 60,
        values: ['three'],
      },
    ]);
    expect((await plane.call('DELETE', path)).status).toBe(200);
    expect(await records()).toEqual([]);
    const elsewhere = await plane.call('PUT', '/v1/routing/txt/a.example', { values: ['x'] });
    expect(elsewhere.body['code']).toBe('not-found');
  });

  test('tells routers how the nodes stand, and nobody else', async () => {
    const plane = await withEdges();
    const router = await plane.addNode('router-1', 'router');
    const { body } = await plane.call('GET', '/v1/node/standings', undefined, router);
    expect(body['nodes']).toContainEqual(
      expect.objectContaining({ name: 'oslo', inService: true }),
    );
    const edge = await plane.addNode('rome');
    const refused = await plane.call('GET', '/v1/node/standings', undefined, edge);
    expect(refused.body['code']).toBe('forbidden');
  });
});

describe('explain route', () => {
  const PATH = '/v1/explain/route?site=film&client=81.2.69.160';

  test('says for each step who was dropped, and why', async () => {
    const plane = await withEdges();
    const { body } = await plane.call('GET', PATH);
    expect(body).toMatchObject({
      site: 'film',
      client: { address: '81.2.69.160', country: 'GB', placedBy: 'country' },
      isLastResort: false,
      chosen: [{ node: 'oslo', by: 'distance' }],
    });
    expect(body['steps']).toContainEqual({
      step: 'choice',
      dropped: [{ node: 'tokyo', reason: 'farther' }],
    });
  });

  test('believes what routers report of edges', async () => {
    const plane = await withEdges();
    const router = await plane.addNode('router-1', 'router');
    const parents = [{ name: 'oslo', standing: 'open' }];
    const load = {
      requests: 0,
      hits: 0,
      upstreamRequests: 0,
      bytesSent: 0,
      objects: 0,
      storedBytes: 0,
    };
    const beat = { fence: 0, pid: 1, version: '1', load, parents };
    await plane.call('POST', '/v1/node/heartbeats', beat, router);
    const { body } = await plane.call('GET', PATH);
    expect(body).toMatchObject({ chosen: [{ node: 'tokyo' }] });
    expect(body['steps']).toContainEqual({
      step: 'healthy',
      dropped: [{ node: 'oslo', reason: 'down' }],
    });
  });

  test("goes by the operator's databases, read anew as they change, as simulations do", async () => {
    const file = join(await temporaryDir(), 'cities.mmdb');
    const place = async (latitude: number, longitude: number): Promise<void> => {
      const location = { latitude, longitude, accuracy_radius: 5 };
      await writeFile(`${file}.new`, mmdb({ '81.2.69.0/24': { location } }));
      await rename(`${file}.new`, file);
    };
    await place(35.7, 139.7);
    const plane = await withEdges([file]);
    expect((await plane.call('GET', PATH)).body).toMatchObject({
      client: { placedBy: 'city', country: 'GB' },
      chosen: [{ node: 'tokyo' }],
    });
    const question = { site: 'film', without: ['tokyo'], clients: [{ client: '81.2.69.160' }] };
    const { body } = await plane.call('POST', '/v1/simulate/route', question);
    expect(body['moves']).toMatchObject([{ from: 'tokyo', to: 'oslo' }]);

    await place(59.9, 10.7);
    await eventually(async () => {
      plane.clock.advance('10s');
      expect((await plane.call('GET', PATH)).body).toMatchObject({
        client: { placedBy: 'city' },
        chosen: [{ node: 'oslo' }],
      });
    });
  });

  test('takes only what it can answer', async () => {
    const plane = await withEdges();
    const code = async (path: string) => (await plane.call('GET', path)).body['code'];
    expect(await code('/v1/explain/route?site=film&client=nonsense')).toBe('invalid-input');
    expect(await code('/v1/explain/route?site=none&client=192.0.2.1')).toBe('not-found');
    const token = await plane.addToken('music', ['read'], ['music']);
    const refused = await plane.call('GET', PATH, undefined, token);
    expect(refused.body['code']).toBe('forbidden');
  });
});

test('simulate: who moves where, and who overloads', async () => {
  const plane = await withEdges();
  const { body } = await plane.call('POST', '/v1/simulate/route', {
    site: 'film',
    without: ['oslo'],
    clients: [
      { client: '81.2.69.0/24', requestsPerSecond: 8 },
      { client: '133.11.0.1', requestsPerSecond: 4 },
    ],
  });
  expect(body).toEqual({
    clients: 2,
    moved: 1,
    moves: [{ from: 'oslo', to: 'tokyo', clients: 1, requestsPerSecond: 8 }],
    edges: [
      { node: 'oslo', before: 8, after: 0, limit: 10, overloads: false },
      { node: 'tokyo', before: 4, after: 12, limit: 10, overloads: true },
    ],
  });
  const unknown = await plane.call('POST', '/v1/simulate/route', {
    site: 'film',
    without: ['paris'],
    clients: [{ client: '192.0.2.1' }],
  });
  expect(unknown.body['code']).toBe('not-found');
});
