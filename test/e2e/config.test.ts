import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Finished, LongRunning, onTerminal, type Place, RunningUp } from './canopy.ts';

// The configuration of a real network, by the command line.

const LIMIT_MS = 180_000;

let root: string;
let server: Server;
let up: RunningUp;
let originUrl: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-config-'));
  server = createServer((_, outgoing) => outgoing.end('hello'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  originUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const args = ['--edges', '2', '--mid-tiers', '1', '--host', 'www.example', '--pull', originUrl];
  up = await RunningUp.start(join(root, 'state'), ...args);
}, LIMIT_MS);

afterAll(async () => {
  await up.end('SIGKILL');
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

const site = (name: string, ...hosts: string[]): object => ({
  name,
  hosts,
  origin: { kind: 'pull', servers: [{ url: originUrl }] },
});

/** A directory with the sites, each in a file. */
async function written(...sites: object[]): Promise<string> {
  const dir = await mkdtemp(join(root, 'sites-'));
  await Promise.all(
    sites.map((content, i) => writeFile(join(dir, `${i}.json`), JSON.stringify(content))),
  );
  return dir;
}

const WWW = ['default', 'www.example'] as const;

/** What an edge answers for a host: 421 while it knows no site of it. */
const statusAt = (edge: Place | undefined, host: string): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    request(edge?.url ?? '', { headers: { host } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .on('error', reject)
      .end();
  });

/** Resolves when the edge answers so for the host; a connected node is to know in two seconds. */
const sees = async (edge: Place | undefined, host: string, status: number): Promise<void> => {
  await expect.poll(() => statusAt(edge, host), { timeout: 10_000, interval: 20 }).toBe(status);
};

const apply = (...args: readonly string[]): Promise<Finished> =>
  up.command('config', 'apply', ...args);

test('what is exported can be applied, and changes nothing', { timeout: LIMIT_MS }, async () => {
  const dir = join(root, 'exported');
  const exported = await up.command('config', 'export', dir);
  expect(exported).toMatchObject({ code: 0, stdout: `${join(dir, 'default.yaml')}\n` });
  expect(await readdir(dir)).toEqual(['default.yaml']);
  // Without what is so by default.
  expect(await readFile(join(dir, 'default.yaml'), 'utf8')).toBe(
    `name: default\nhosts:\n  - www.example\norigin:\n  kind: pull\n  servers:\n    - url: ${originUrl}\n`,
  );
  const { stdout } = await up.command('config', 'export');
  const file = join(root, 'all.yaml');
  await writeFile(file, stdout);
  for (const path of [dir, file]) {
    expect(await apply(path)).toMatchObject({
      code: 0,
      stdout: 'Nothing differs from version 1.\n',
    });
  }
});

test(
  'a configuration is shown, refused without a word, applied, and rolled back',
  { timeout: LIMIT_MS },
  async () => {
    const dir = await written(site(...WWW), site('shop', 'shop.example'));
    const diff = `+ sites.shop
+     name: shop
+     hosts:
+       - shop.example
+     origin:
+       kind: pull
+       servers:
+         - url: ${originUrl}
`;
    expect(await apply(dir, '--dry-run')).toMatchObject({ code: 0, stdout: diff });
    expect(await apply(dir, '--dry-run', '--exit-code')).toMatchObject({ code: 3, stdout: diff });
    expect(await apply(dir)).toMatchObject({
      code: 1,
      stdout: diff,
      stderr: 'canopy: Nobody is there to be asked: give --yes to go on (invalid-request)\n',
    });
    expect(await statusAt(up.ready.edges[0], 'shop.example')).toBe(421);

    const applied = await apply(dir, '--yes', '--reason', 'the shop opens');
    expect(applied).toMatchObject({ code: 0, stderr: '' });
    expect(applied.stdout).toContain('edge-oslo           edge      applied\n');
    expect(applied.stdout).toMatch(/\nVersion 2 is complete\.\n$/);
    for (const edge of up.ready.edges) await sees(edge, 'shop.example', 200);

    const rolledBack = await up.command('config', 'rollback', '1', '--yes');
    expect(rolledBack).toMatchObject({ code: 0 });
    expect(rolledBack.stdout).toMatch(/^- sites\.shop\n/);
    for (const edge of up.ready.edges) await sees(edge, 'shop.example', 421);

    const versions = await up.command('config', 'versions');
    expect(versions.stdout.split('\n').slice(1, 3)).toEqual([
      expect.stringMatching(/^3 +complete +\S+ +admin +shop +\(back to 1\)$/),
      expect.stringMatching(/^2 +complete +\S+ +admin +shop +the shop opens$/),
    ]);
    const between = await up.command('config', 'diff', '1', '2', '--exit-code');
    expect(between).toMatchObject({ code: 3, stdout: diff });
    expect(await up.command('config', 'diff', '1', '--exit-code')).toMatchObject({ code: 0 });
  },
);

test('a canary is on its node, then everywhere', { timeout: LIMIT_MS }, async () => {
  const [oslo, rome] = up.ready.edges;
  const dir = await written(site(...WWW), site('blog', 'blog.example'));
  const begun = await apply(dir, '--yes', '--canary', 'edge-oslo');
  expect(begun).toMatchObject({ code: 0 });
  expect(begun.stdout).toMatch(/edge-oslo {2}edge {2}applied\n\nVersion \d+ is canary\.\n$/);
  await sees(oslo, 'blog.example', 200);
  expect(await statusAt(rome, 'blog.example')).toBe(421);
  const promoted = await up.command('config', 'promote', '--json');
  expect(JSON.parse(promoted.stdout)).toMatchObject({ status: 'complete', canary: ['edge-oslo'] });
  await sees(rome, 'blog.example', 200);
  expect(await up.command('config', 'abort')).toMatchObject({
    code: 1,
    stderr: 'canopy: There is no canary (conflict)\n',
  });
});

test('somebody at a terminal sees how it goes, and is asked', { timeout: LIMIT_MS }, async () => {
  const dir = await written(site(...WWW), site('news', 'news.example'));
  const command = ['config', 'apply', dir, '--dir', up.dir];
  const declined = await onTerminal(command, 'n\n');
  expect(declined).toMatchObject({ code: 1 });
  expect(declined.stdout).toContain('\u001B[32m+ sites.news');
  expect(declined.stdout).toContain('Nothing was changed.');
  expect(await statusAt(up.ready.edges[0], 'news.example')).toBe(421);
  const agreed = await onTerminal(command, 'y\n');
  expect(agreed).toMatchObject({ code: 0 });
  expect(agreed.stdout).toMatch(/Version \d+ █* *[█░]*.*\d\/\d/);
  expect(agreed.stdout).toContain('is complete.');
});

test(
  'mistakes in files are named with the file, and nothing changes',
  { timeout: LIMIT_MS },
  async () => {
    const bad = await written({ ...site('shop', 'shop.example'), cash: 1 });
    expect(await apply(bad, '--yes')).toMatchObject({
      code: 1,
      stderr:
        'canopy: Invalid configuration: 0.json.cash: expected no such field, received 1 (invalid-input)\n',
    });
    const empty = join(root, 'empty');
    await mkdir(empty);
    expect((await apply(empty, '--yes')).stderr).toMatch(/holds no \.yaml/);
    const one = join(root, 'one.json');
    await writeFile(one, JSON.stringify(site('shop', 'shop.example')));
    expect((await apply(one, '--yes')).stderr).toMatch(/one\.json has no `sites`/);
    const [edge] = up.ready.edges;
    const loop = {
      ...site('loop', 'l.example'),
      origin: { kind: 'pull', servers: [{ url: edge?.url }] },
    };
    const looping = await apply(await written(site(...WWW), loop), '--yes');
    expect(looping).toMatchObject({ code: 1 });
    expect(looping.stdout).toMatch(/error: .* is node "edge-oslo" \(origin-is-ours\)/);
  },
);

/** The control plane as an older node sees it: what a site is set to is not known to it yet. */
async function newerControlPlane(host: string): Promise<string> {
  const { url } = up.ready.controlPlane;
  const proxy = createServer((incoming, outgoing) => {
    const { method, headers } = incoming;
    const passed = request(new URL(incoming.url ?? '/', url), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.setEncoding('utf8');
      answer.on('data', (text: string) =>
        outgoing.write(text.replaceAll(`"hosts":["${host}"]`, `"moonPhase":1,"hosts":["${host}"]`)),
      );
      answer.on('close', () => outgoing.destroy());
      outgoing.on('close', () => answer.destroy());
      answer.on('end', () => outgoing.end());
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

test(
  'what an older node cannot apply is taken back everywhere',
  { timeout: LIMIT_MS },
  async () => {
    const { url, token } = up.ready.controlPlane;
    const node = {
      tier: 'edge',
      url: 'http://127.0.0.1:9',
      location: { name: 'x', latitude: 0, longitude: 0 },
    };
    const added = await fetch(`${url}/v1/nodes/edge-old`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(node),
    });
    const { credential } = (await added.json()) as { credential: string };
    const args = [
      '--name',
      'edge-old',
      '--dir',
      join(root, 'old'),
      '--listen',
      '127.0.0.1:0',
      '--admin',
      '127.0.0.1:0',
      '--workers',
      '1',
    ];
    const older = new LongRunning(
      ['edge', ...args, '--control-plane', await newerControlPlane('future.example')],
      { environment: { CANOPY_CREDENTIAL: credential } },
    );
    onTestFinished(async () => void (await older.end('SIGTERM')));
    await older.says('serving on');
    await expect
      .poll(async () => (await up.command('nodes', '--json')).stdout, { timeout: LIMIT_MS })
      .toMatch(/"name": "edge-old"[^]*"inService": true/);

    const dir = await written(site(...WWW), site('future', 'future.example'));
    const refused = await apply(dir, '--yes');
    expect(refused).toMatchObject({ code: 4 });
    expect(refused.stdout).toMatch(
      /edge-old +edge +refused +Invalid site "future": moonPhase: expected no such field, received 1\n/,
    );
    expect(refused.stdout).toMatch(/Version \d+ is halted\.\n$/);
    for (const edge of up.ready.edges) await sees(edge, 'future.example', 421);
    const purge = await up.command('purge', '--site', 'default', '--wait', '--json');
    expect(JSON.parse(purge.stdout)).toMatchObject({ status: 'complete' });
  },
);
