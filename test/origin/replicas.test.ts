import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startControlPlane } from '#control-plane/server.ts';
import type { NodeOptions } from '#core/node/process.ts';
import { bodiesDir, openDiskStore } from '#origin/disk-store.ts';
import { type Content, isLater, type Version } from '#origin/object-store.ts';
import { startOrigin } from '#origin/process.ts';
import { Replicas } from '#origin/replicas.ts';
import { Upkeep } from '#origin/upkeep.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import {
  bodyNames,
  PUBLISH_KEY,
  quiet,
  send,
  startTestOrigin,
  temporaryDir,
  TIER_KEY,
  type TestOrigin,
  textOf,
  uploadOf,
} from './support.ts';

/** What `one` takes over from `others`. */
function following(one: TestOrigin, ...others: readonly TestOrigin[]): Replicas {
  const replicas = new Replicas({ name: 'own', store: one.store, clock: one.clock, log: quiet });
  onTestFinished(() => replicas.close());
  replicas.configure({
    network: { tierKey: TIER_KEY, publishKey: PUBLISH_KEY },
    nodes: others.map(({ url }, i) => ({
      name: `origin-${i}`,
      tier: 'origin',
      url,
      location: { name: 'oslo', latitude: 0, longitude: 0 },
      capacity: 1,
      draining: false,
    })),
  });
  return replicas;
}

const contentOf = async ({ store }: TestOrigin, path: string) =>
  textOf(store, await store.find('shop', path));

describe('a replica', () => {
  test('takes over what was put, replaced and deleted, with all that describes it', async () => {
    const [from, to] = [await startTestOrigin(), await startTestOrigin()];
    await from.api('PUT', '/a%20b', 'first', { 'Cache-Control': 'max-age=60' });
    await from.api('PUT', '/a%20b', 'second', {
      'Cache-Control': 'max-age=90',
      'Content-Type': 'text/x-second',
    });
    await from.api('PUT', '/gone', 'gone');
    await to.api('PUT', '/gone', 'older');
    from.clock.nowMs += 1000;
    await from.api('DELETE', '/gone');
    await following(to, from).inStep();
    expect(await contentOf(to, '/a%20b')).toBe('second');
    const object = await from.store.find('shop', '/a%20b');
    expect(await to.store.find('shop', '/a%20b')).toEqual(object);
    expect(await contentOf(to, '/gone')).toBeUndefined();
  });

  test('goes on where it was, and asks for nothing twice', async () => {
    const [from, to] = [await startTestOrigin(), await startTestOrigin()];
    await from.api('PUT', '/a', 'a');
    await following(to, from).inStep();
    const before = from.server.traffic.requests;
    await from.api('PUT', '/b', 'b');
    await following(to, from).inStep();
    expect(await contentOf(to, '/b')).toBe('b');
    // The put, the store's name, a page with one change, its content, and a page with none.
    expect(from.server.traffic.requests - before).toBe(5);
  });

  test('takes over many, page after page', async () => {
    const [from, to] = [await startTestOrigin(), await startTestOrigin()];
    const paths = Array.from({ length: 300 }, (_, i) => `/${i}`);
    for (const path of paths) await from.store.put('shop', path, uploadOf(path));
    await following(to, from).inStep();
    const contents = await Promise.all(paths.map((path) => contentOf(to, path)));
    expect(contents).toEqual(paths);
  });

  test('keeps what is later here', async () => {
    const [from, to] = [await startTestOrigin(), await startTestOrigin()];
    await from.api('PUT', '/a', 'earlier');
    to.clock.nowMs += 1000;
    await to.api('PUT', '/a', 'later');
    await following(to, from).inStep();
    expect(await contentOf(to, '/a')).toBe('later');
  });

  test('a replica that cannot be reached holds up nothing', async () => {
    const [gone, from, to] = [
      await startTestOrigin(),
      await startTestOrigin(),
      await startTestOrigin(),
    ];
    await from.api('PUT', '/a', 'a');
    await gone.server.close(0);
    await following(to, gone, from).inStep();
    expect(await contentOf(to, '/a')).toBe('a');
  });

  test('heals what is damaged from the others, at once and without being asked', async () => {
    const [lacking, from] = [await startTestOrigin(), await startTestOrigin()];
    const to = await startTestOrigin((options) =>
      openDiskStore({ ...options, log: quiet, onDamaged: () => upkeep.healSoon() }),
    );
    await from.api('PUT', '/a', 'sound');
    const replicas = following(to, lacking, from);
    await replicas.inStep();
    const clock = new FakeClock();
    const heal = (content: Content): Promise<boolean> => replicas.heal(content);
    const upkeep: Upkeep = new Upkeep({ store: to.store, clock, log: quiet, heal });
    onTestFinished(() => upkeep.close());
    upkeep.start();
    const [body = ''] = await bodyNames(to.dir);
    await writeFile(join(bodiesDir(to.dir), body.slice(-2), body), 'dirty');
    await expect(to.get('/a')).rejects.toThrow(/hang up|aborted/);
    expect((await to.get('/a')).status).toBe(500);
    clock.advance('1ms');
    await expect.poll(() => upkeep.healed).toBe(1);
    expect((await to.get('/a')).text).toBe('sound');
  });

  test('does not take content that is not what its entity tag says', async () => {
    const to = await startTestOrigin();
    const written = { by: 'replica', atMs: 1, etag: '"another"' } as const;
    const upload = uploadOf('damaged', { written, digest: 'another' });
    await expect(to.store.put('shop', '/a', upload)).rejects.toMatchObject({
      code: 'digest-mismatch',
    });
    expect(await contentOf(to, '/a')).toBeUndefined();
  });
});

const version = fc.record({
  atMs: fc.nat(3),
  etag: fc.constantFrom('', '"a"', '"b"'),
}) satisfies fc.Arbitrary<Version>;

const last = (versions: readonly Version[]): Version | undefined =>
  versions.reduce<Version | undefined>((known, v) => (isLater(v, known) ? v : known), undefined);

test('whatever the order of versions, the same one counts', () => {
  fc.assert(
    fc.property(fc.array(version), fc.infiniteStream(fc.nat()), (versions, order) => {
      const shuffled = versions
        .map((v) => ({ v, place: Number(order.next().value) }))
        .toSorted((a, b) => a.place - b.place)
        .map(({ v }) => v);
      expect(last(shuffled)).toEqual(last(versions));
    }),
  );
});

test('an origin that an asking node is ahead of sends it to another', async () => {
  const origin = await startTestOrigin(undefined, async (sequence) => sequence <= 7);
  await origin.api('PUT', '/a', 'a');
  expect((await origin.get('/a', { 'Canopy-Fence': '7' })).status).toBe(200);
  const ahead = await origin.get('/a', { 'Canopy-Fence': '8' });
  expect(ahead).toMatchObject({ status: 503, headers: { 'canopy-error': 'unavailable' } });
});

const ADMIN_TOKEN = 'admin-token-of-the-replica-tests';
const authorization = { Authorization: `Bearer ${ADMIN_TOKEN}` };

test('what is published while an origin is away it has before it serves again', async () => {
  const dir = await temporaryDir();
  const at = { host: '127.0.0.1', port: 0, admin: { host: '127.0.0.1', port: 0 } };
  const controlPlane = await startControlPlane({
    ...at,
    dir: join(dir, 'control-plane'),
    adminToken: ADMIN_TOKEN,
    log: quiet,
  });
  onTestFinished(() => controlPlane.close());
  const call = (method: string, path: string, body?: unknown) => {
    const headers = { ...authorization, 'Content-Type': 'application/json' };
    return send(controlPlane.url, path, method, headers, JSON.stringify(body));
  };
  const publish = async (content: string) => {
    const path = '/v1/sites/shop/objects/a.txt';
    return (await send(controlPlane.url, path, 'PUT', authorization, content)).status;
  };
  await call('PUT', '/v1/sites/shop', { hosts: ['*'], origin: { kind: 'push' } });
  const register = (name: string, url: string) =>
    call('PUT', `/v1/nodes/${name}`, {
      tier: 'origin',
      location: { name: 'oslo', latitude: 59.9, longitude: 10.7 },
      url,
    });
  const start = async (options: NodeOptions) => {
    const origin = await startOrigin(options);
    await register(options.name, origin.url);
    await expect
      .poll(async () => (await call('GET', '/v1/nodes')).json())
      .toContainEqual(expect.objectContaining({ name: options.name, inService: true }));
    return origin;
  };
  const options = async (name: string): Promise<NodeOptions> => {
    const { credential } = (await register(name, 'http://127.0.0.1:1')).json() as {
      credential: string;
    };
    const controlPlaneUrls = [controlPlane.url];
    return { ...at, name, controlPlaneUrls, credential, dir: join(dir, name) };
  };
  const [oneOptions, otherOptions] = [await options('one'), await options('other')];
  const one = await start(oneOptions);
  onTestFinished(() => one.close());
  const other = await start(otherOptions);
  expect(await publish('first')).toBe(201);

  await other.close();
  expect(await publish('second')).toBe(200);
  const back = await start(otherOptions);
  onTestFinished(() => back.close());
  // Read in the store itself, through the object API that publishers use.
  const key = await publishKeyOf(join(dir, 'other'));
  const there = await send(back.url, '/v1/sites/shop/objects/a.txt', 'GET', {
    Authorization: `Bearer ${key}`,
  });
  expect(there.text).toBe('second');
});

async function publishKeyOf(dir: string): Promise<string> {
  const config = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')) as {
    network: { publishKey: string };
  };
  return config.network.publishKey;
}
