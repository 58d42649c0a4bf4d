import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canopy, curl, isRunning, RunningUp, kill } from './canopy.ts';
import { eventually } from '#test/eventually.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-e2e-'));
});
afterAll(() => rm(root, { recursive: true, force: true, maxRetries: 10 }));

describe('a network with an origin of its own', () => {
  let up: RunningUp;
  const url = (edge: number, path: string): string => `${up.ready.edges[edge]?.url}${path}`;
  /** Of every edge's answer. */
  const statuses = (path: string): Promise<number[]> =>
    Promise.all([0, 1, 2].map(async (edge) => (await curl(url(edge, path))).status));

  beforeAll(async () => {
    up = await RunningUp.start(join(root, 'own'));
  });
  afterAll(() => up.end('SIGKILL'));

  test('says where everything is, to people and to programs', async () => {
    const { edges, midTiers, origin, routers, controlPlane } = up.ready;
    expect(edges.map((edge) => edge.name)).toEqual(['edge-oslo', 'edge-rome', 'edge-lisbon']);
    expect(midTiers.map((node) => node.location.name)).toEqual(['frankfurt', 'london']);
    expect(origin?.name).toBe('origin');
    expect(routers).toEqual([]);
    for (const place of up.places) {
      expect(up.stdout).toContain(place.url);
      expect(up.stdout).toContain(place.adminUrl);
      expect(isRunning(place.pid)).toBe(true);
    }
    expect(up.stdout.match(/^ {2}curl /gm)).toHaveLength(4);
    expect(up.stdout).not.toContain(controlPlane.token);
    expect((await stat(join(up.dir, 'ready.json'))).mode & 0o777).toBe(0o600);
  });

  test('serves the sample site, the second time from the edge', async () => {
    const first = await curl(url(0, '/'));
    expect(first.status).toBe(200);
    expect(first.body).toContain('<html');
    expect(first.cacheStatus).toMatch(/fwd=/);
    const second = await curl(url(0, '/'));
    expect(second.body).toBe(first.body);
    expect(second.cacheStatus).toMatch(/;\s*hit/);
    expect(second.cacheStatus).not.toMatch(/fwd=/);
  });

  test('put stores a file, and no edge serves the old one afterwards', async () => {
    const file = join(root, 'note.txt');
    for (const content of ['first', 'second']) {
      await writeFile(file, content);
      const put = await up.command(
        'put',
        file,
        url(0, '/note.txt'),
        '--cache-control',
        'max-age=600',
      );
      expect(put).toMatchObject({ code: 0, stderr: '' });
      for (const edge of [0, 1, 2]) {
        const answer = await curl(url(edge, '/note.txt'));
        expect(answer.body).toBe(content);
        expect(answer.fields.get('content-type')).toMatch(/^text\/plain/);
      }
    }
  });

  test('put reads standard input', async () => {
    const put = await canopy(['put', '-', url(0, '/data.json'), '--dir', up.dir, '--json'], {
      input: '{"from":"stdin"}',
    });
    expect(JSON.parse(put.stdout)).toMatchObject({
      size: 16,
      contentType: expect.stringMatching(/^application\/json/) as string,
      purge: { status: 'complete' },
    });
    expect((await curl(url(1, '/data.json'))).body).toBe('{"from":"stdin"}');
  });

  test('put of an index page renews its directory as well', async () => {
    const file = join(root, 'index.html');
    for (const content of ['<p>first</p>', '<p>second</p>']) {
      await writeFile(file, content);
      const cached = ['--cache-control', 'max-age=600'];
      await up.command('put', file, url(0, '/folder/index.html'), ...cached);
      for (const edge of [0, 1]) expect((await curl(url(edge, '/folder/'))).body).toBe(content);
    }
  });

  test('an object put through the API alone is found where a 404 was stored, and is gone once deleted', async () => {
    const { url: api, token } = up.ready.controlPlane;
    const call = async (method: string): Promise<void> => {
      const headers = { authorization: `Bearer ${token}` };
      const target = new URL('/v1/sites/default/objects/late.txt', api);
      const answer = await fetch(target, {
        method,
        headers,
        ...(method === 'PUT' && { body: 'late' }),
      });
      expect(answer.ok).toBe(true);
      const id = answer.headers.get('canopy-purge');
      const purge = await fetch(new URL(`/v1/purges/${id}?waitMs=60000`, api), { headers });
      expect(await purge.json()).toMatchObject({ status: 'complete', reason: 'published' });
    };
    expect(await statuses('/late.txt')).toEqual([404, 404, 404]);
    await call('PUT');
    expect(await statuses('/late.txt')).toEqual([200, 200, 200]);
    await call('DELETE');
    expect(await statuses('/late.txt')).toEqual([404, 404, 404]);
  });

  test('a dry run says what each node would lose, and takes nothing', async () => {
    await curl(url(0, '/note.txt'));
    const asked = up.command('purge', url(0, '/note.txt'), '--dry-run');
    const { code, stdout, stderr } = await asked;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^edge-oslo +edge +answered +1 /m);
    expect(stdout).toMatch(/^all +[1-9]/m);
    expect((await curl(url(0, '/note.txt'))).cacheStatus).not.toMatch(/fwd=/);
  });

  test('purge reports every cache, and what it hit', async () => {
    await curl(url(0, '/note.txt'));
    const purge = await up.command('purge', url(0, '/note.txt'), '--wait');
    expect(purge).toMatchObject({ code: 0, stderr: '' });
    for (const { name } of [...up.ready.edges, ...up.ready.midTiers]) {
      expect(purge.stdout).toMatch(new RegExp(`^${name} .*acknowledged`, 'm'));
    }
    expect(purge.stdout).toMatch(/^edge-oslo +edge +acknowledged +1 /m);
    expect((await curl(url(0, '/note.txt'))).cacheStatus).toMatch(/fwd=/);
  });

  test('a site purge without waiting prints the id', async () => {
    const purge = await up.command('purge', '--site', 'default', '--soft', '--json');
    expect(purge.code).toBe(0);
    expect(JSON.parse(purge.stdout)).toEqual({ id: expect.any(String) as string });
  });

  test('purges are in the history, with who and why', async () => {
    const host = new URL(url(0, '/')).hostname;
    const purges = [
      ['--prefix', `${host}/folder/*`],
      ['--tag', 'news', '--tag', 'sport', '--soft'],
      ['--everything', '--reason', 'a new design'],
    ].map((kind) => up.command('purge', ...kind, '--wait'));
    for (const purge of await Promise.all(purges)) {
      expect(purge).toMatchObject({ code: 0, stderr: '' });
    }
    const { stdout } = await up.command('purges', '--limit', '3');
    expect(stdout).toMatch(/ soft +everything +complete +admin +a new design$/m);
    expect(stdout).toMatch(/ soft +tags: news and 1 more +complete +admin/m);
    expect(stdout).toMatch(/ hard +prefixes: 127\.0\.0\.1\/folder +complete +admin/m);
  });

  test('what is banned is not stored until the ban is lifted', async () => {
    const file = join(root, 'urls.txt');
    await writeFile(file, `# of today\n${url(0, '/note.txt')}\n`);
    const purge = await up.command('purge', '--file', file, '--ban', '--wait', '--json');
    const { id } = JSON.parse(purge.stdout) as { id: string };
    expect((await up.command('purges', '--bans')).stdout).toContain(id);
    await curl(url(0, '/note.txt'));
    expect((await curl(url(0, '/note.txt'))).cacheStatus).toMatch(/fwd=/);
    expect(await up.command('purge', '--lift', id)).toMatchObject({ code: 0, stderr: '' });
    expect((await up.command('purges', '--bans', '--json')).stdout).toBe('[]\n');
  });

  test('nodes and sites are listed', async () => {
    const nodes = await up.command('nodes');
    for (const { name } of up.ready.edges) expect(nodes.stdout).toContain(name);
    const sites = await up.command('sites', 'list', '--json');
    expect(JSON.parse(sites.stdout)).toMatchObject([{ name: 'default', hosts: ['*'] }]);
  });

  test('sites are put, read and deleted', async () => {
    const file = join(root, 'shop.yaml');
    await writeFile(file, 'name: shop\nhosts: [shop.test]\norigin: { kind: push }\n');
    expect(await up.command('sites', 'put', file)).toMatchObject({ code: 0, stderr: '' });
    const site = await up.command('sites', 'get', 'shop');
    expect(JSON.parse(site.stdout)).toMatchObject({ name: 'shop', hosts: ['shop.test'] });
    expect((await up.command('sites', 'delete', 'shop')).code).toBe(0);
    expect(await up.command('sites', 'get', 'shop')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^canopy: .* \(not-found\)\n$/) as string,
    });
  });

  test('a second `up` on the same directory is refused', async () => {
    const second = await canopy(['up', '--port', '0', '--dir', up.dir]);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/^canopy: Another `canopy up` runs on .*\(conflict\)\n$/);
    expect((await curl(url(0, '/'))).status).toBe(200);
  });

  test('mid-tiers killed one after another: requests still succeed', async () => {
    for (const [index, midTier] of up.ready.midTiers.entries()) {
      kill(midTier, 'SIGKILL');
      for (const edge of [0, 1, 2]) {
        const answer = await curl(url(edge, '/note.txt'));
        expect(answer.body).toBe('second');
        expect((await curl(url(edge, `/missing-${index}`))).status).toBe(404);
      }
      await eventually(() => expect(up.stderr).toMatch(new RegExp(`${midTier.name} .*SIGKILL`)));
    }
  });

  test('the origin killed: what is cached is still served', async () => {
    await Promise.all([0, 1, 2].map((edge) => curl(url(edge, '/note.txt'))));
    kill(up.ready.origin, 'SIGKILL');
    await eventually(() => expect(up.stderr).toMatch(/origin .*SIGKILL/));
    for (const edge of [0, 1, 2]) {
      expect((await curl(url(edge, '/note.txt'))).body).toBe('second');
    }
    expect((await curl(url(0, '/never-asked-for'))).status).toBeGreaterThanOrEqual(502);
  });

  test('Ctrl-C ends every process and removes the ready file', async () => {
    expect(await up.end('SIGINT')).toBe(0);
    expect(up.places.filter(({ pid }) => isRunning(pid))).toEqual([]);
    await expect(stat(join(up.dir, 'ready.json'))).rejects.toThrow('ENOENT');
  });

  test('a start on the same directory goes on with what was there', async () => {
    up = await RunningUp.start(up.dir, '--edges', '1', '--mid-tiers', '1');
    const answer = await curl(url(0, '/note.txt'));
    expect(answer.body).toBe('second');
    const nodes = await up.command('nodes', '--json');
    const names = (JSON.parse(nodes.stdout) as { name: string }[]).map((node) => node.name);
    expect(names.toSorted()).toEqual(['edge-oslo', 'mid-tier-frankfurt', 'origin']);
  });

  test('when `up` itself is killed, its processes end too', async () => {
    await up.end('SIGKILL');
    await eventually(async () => {
      const answers = await Promise.allSettled(up.places.map((place) => curl(place.url)));
      expect(answers.filter(({ status }) => status === 'fulfilled')).toEqual([]);
    });
  });
});

const shopPage = (edge: string | undefined) => curl('-H', 'Host: shop.test', `${edge}/page`);

test('--pull puts the network in front of servers that are already there, for that start', async () => {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked += 1;
    response.setHeader('cache-control', 'max-age=60').end('from the shop');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const pull = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const up = await RunningUp.start(
    join(root, 'pull'),
    '--pull',
    pull,
    '--host=shop.test',
    '--edges=2',
    '--mid-tiers=1',
  );
  try {
    expect(up.ready.origin).toBeNull();
    asked = 0;
    const [first, second] = up.ready.edges;
    expect((await shopPage(first?.url)).body).toBe('from the shop');
    expect((await shopPage(first?.url)).cacheStatus).toMatch(/;\s*hit/);
    expect((await shopPage(second?.url)).body).toBe('from the shop');
    expect(asked).toBe(1);
    const put = await canopy(['put', '-', 'http://shop.test/a', '--dir', up.dir], {
      input: 'text',
    });
    expect(put.stderr).toMatch(/^canopy: Site default pulls from its own servers.*\(conflict\)\n$/);
  } finally {
    expect(await up.end('SIGTERM')).toBe(0);
    server.closeAllConnections();
    server.close();
  }

  const again = await RunningUp.start(up.dir, '--edges=1', '--mid-tiers=0');
  expect(again.ready.origin?.name).toBe('origin');
  expect((await curl(`${again.ready.edges[0]?.url}/`)).body).toContain('<html');
  expect(await again.end('SIGTERM')).toBe(0);
});
