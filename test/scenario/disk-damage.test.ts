import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { filesBelow } from '#test/disk/support.ts';
import { expect } from 'vitest';
import type { ScenarioNode } from './kit/node.ts';
import { scenario } from './kit/scenario.ts';
import { until } from './kit/until.ts';

// Content that is in a file on disk turns out to be damaged while a client is sent it.

const ON_DISK = { midTiers: [], sharesDisk: true };
const HOUR = 'max-age=3600';
/** More than memory takes, and less than what is cut into slices. */
const BODY = Buffer.from(Array.from({ length: 700_000 }, (_, i) => i % 251));

/** Changes a byte of the one file that there is. */
async function damage(node: ScenarioNode, at: number): Promise<void> {
  await until(() => node.node.disk?.volume().objects === 1);
  const files = join(node.diskDir, 'files');
  const [name = ''] = (await filesBelow(files)).keys();
  const handle = await open(join(files, name), 'r+');
  await handle.write(Buffer.from([255]), 0, 1, at);
  await handle.close();
}

const damaged = ({ node }: ScenarioNode): number | undefined =>
  node.disk?.stats()[0]?.evicted.damaged;

scenario(
  'of what is damaged the client is sent what comes before, and the rest from a parent',
  ON_DISK,
  async ({ origin, edge }) => {
    origin.answers('/a', { cacheControl: HOUR, etag: '"1"', body: BODY });
    await edge().get('/a').sees({ edge: 'uri-miss', body: BODY });
    await damage(edge(), 500_000);
    expect((await edge().get('/a')).body.equals(BODY)).toBe(true);
    await until(() => damaged(edge()) === 1);
    // It is stored anew.
    expect((await edge().get('/a')).body.equals(BODY)).toBe(true);
  },
);

scenario(
  'what is damaged from its begin on is fetched as if it had not been there',
  ON_DISK,
  async ({ origin, edge }) => {
    origin.answers('/a', { cacheControl: HOUR, body: BODY });
    await edge().get('/a').sees({ edge: 'uri-miss', body: BODY });
    await damage(edge(), 10);
    expect((await edge().get('/a')).body.equals(BODY)).toBe(true);
    origin.saw('GET /a', 'GET /a');
    await until(() => damaged(edge()) === 1);
  },
);

scenario(
  'without a strong validator an answer that turns out to be damaged is cut, and the next is whole',
  ON_DISK,
  async ({ origin, edge }) => {
    origin.answers('/a', { cacheControl: HOUR, body: BODY });
    await edge().get('/a').sees({ edge: 'uri-miss', body: BODY });
    await damage(edge(), 500_000);
    await expect(Promise.resolve(edge().get('/a'))).rejects.toBeInstanceOf(Error);
    await until(() => damaged(edge()) === 1);
    expect((await edge().get('/a')).body.equals(BODY)).toBe(true);
    origin.saw('GET /a', 'GET /a');
  },
);
