import { expect } from 'vitest';
import type { PurgeTarget } from '#core/contract/purge.ts';
import { demandPerSecond } from '#core/contract/question.ts';
import { scenario } from './kit/scenario.ts';

const HOST = 'www.example.org';
const urls = (...paths: string[]): PurgeTarget => ({
  kind: 'urls',
  site: 'site',
  urls: paths.map((path) => `http://${HOST}${path}`),
});
const tags = (...names: string[]): PurgeTarget => ({ kind: 'tags', site: 'site', tags: names });
const prefix = (path: string): PurgeTarget => ({
  kind: 'prefixes',
  site: 'site',
  prefixes: [HOST + path],
});

scenario('a preview counts what the purge would hit, and leaves it', async (world) => {
  const { clock, origin, edge, purge } = world;
  for (const [path, tag] of [
    ['/a', 'x'],
    ['/a/b', 'x,y'],
    ['/c', 'y'],
  ] as const) {
    origin.answers(path, { cacheControl: 'max-age=3600', fields: { 'Cache-Tag': tag } });
    await edge().get(path).sees({ edge: 'uri-miss' });
  }
  const preview = async (...targets: PurgeTarget[]) => {
    const estimate = edge().node.preview(targets);
    clock.advance('2s');
    return estimate;
  };
  const counts: [PurgeTarget, number][] = [
    [urls('/a', '/c', '/none'), 2],
    [prefix('/a'), 2],
    [tags('y'), 2],
    [{ kind: 'hosts', site: 'site', hosts: [HOST] }, 3],
    [{ kind: 'site', site: 'site' }, 3],
    [{ kind: 'everything' }, 3],
    [tags('none'), 0],
  ];
  for (const [target, objects] of counts) {
    expect({ target, ...(await preview(target)) }).toMatchObject({
      target,
      objects,
      sampled: false,
    });
  }
  let bytes = 0;
  for (const path of ['/a', '/a/b', '/c']) bytes += (await preview(urls(path))).bytes;
  expect(await preview(tags('x', 'y'))).toMatchObject({ objects: 3, bytes });
  expect(purge(urls('/a')).get('oslo')).toMatchObject({ objects: 1 });
  // Purged by its tag, and not swept yet.
  purge(tags('x'));
  expect(await preview(prefix('/a'))).toMatchObject({ objects: 0, bytes: 0 });
});

scenario(
  'of what is in memory a preview tells the bytes that the purge frees',
  { isInMemory: true },
  async ({ clock, origin, edge, purge }) => {
    origin.answers('/a', { cacheControl: 'max-age=3600', body: 'a' });
    await edge().get('/a').sees({ edge: 'uri-miss' });
    const estimate = edge().node.preview([urls('/a')]);
    clock.advance('2s');
    const { objects, bytes } = await estimate;
    expect({ objects, bytes }).toEqual(edge().node.engine.store.volume());
    expect(purge(urls('/a')).get('oslo')).toMatchObject({ objects, bytes });
  },
);

scenario(
  'demand is of the different objects that are asked for while it watches',
  async (world) => {
    const { clock, origin, edge } = world;
    for (const path of ['/a', '/b', '/c', '/d']) {
      origin.answers(path, { cacheControl: 'max-age=3600', fields: { 'Cache-Tag': 'x' } });
      await edge().get(path).sees({ edge: 'uri-miss' });
    }
    const estimate = edge().node.preview([tags('x')]);
    for (const path of ['/a', '/a', '/b', '/c', '/a'])
      await edge().get(path).sees({ edge: 'fresh' });
    clock.advance('2s');
    const { objects, asked, watchedMs } = await estimate;
    expect([objects, asked.length, watchedMs]).toEqual([4, 3, 2000]);
    expect(demandPerSecond(await estimate)).toBe(1.5);
    // Nobody watches any more.
    expect(edge().node.engine.watches.size).toBe(0);
  },
);
