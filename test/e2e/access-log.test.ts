import { once } from 'node:events';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import autocannon from 'autocannon';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type RunningControlPlane, startControlPlane } from '#control-plane/server.ts';
import { rotatedFiles } from '#core/telemetry/access-log/rotation.ts';
import { eventually } from '#test/eventually.ts';
import { parseExposition, total } from '#test/telemetry/prometheus.ts';
import { canopy, curl, LongRunning, RunningUp } from './canopy.ts';

// Edges of two threads as processes, under load: each request is written down once.

const ADMIN_TOKEN = 'the-token-of-the-log-tests';
const CONNECTIONS = 20;

let root: string;
let controlPlane: RunningControlPlane;
let credential: string;
const origin = createServer((_, outgoing) => {
  outgoing.setHeader('Cache-Control', 'max-age=3600').end('hello');
});
const portOf = (server: typeof origin): number => (server.address() as AddressInfo).port;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-access-log-e2e-'));
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  controlPlane = await startControlPlane({
    dir: join(root, 'control-plane'),
    host: '127.0.0.1',
    port: 0,
    admin: { host: '127.0.0.1', port: 0 },
    adminToken: ADMIN_TOKEN,
    leaseMs: 10_000,
    log: pino({ level: 'silent' }),
  });
  const servers = [{ url: `http://127.0.0.1:${portOf(origin)}` }];
  await put('/v1/sites/shop', { name: 'shop', hosts: ['*'], origin: { kind: 'pull', servers } });
  const location = { name: 'oslo', latitude: 59.91, longitude: 10.75 };
  const url = 'http://127.0.0.1:1';
  const added = await put('/v1/nodes/edge', { name: 'edge', tier: 'edge', location, url });
  credential = String(added['credential']);
});
afterAll(async () => {
  await controlPlane.close();
  origin.closeAllConnections();
  origin.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

async function put(path: string, content: unknown): Promise<Record<string, unknown>> {
  const answer = await fetch(controlPlane.url + path, {
    method: 'PUT',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(content),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()) as Record<string, unknown>;
}

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(root, 'edge-'));
});

class Edge extends LongRunning {
  static async start(...args: readonly string[]): Promise<Edge> {
    const edge = new Edge(
      ['edge', '--name', 'edge', '--control-plane', controlPlane.url, '--dir', dir]
        .concat(['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--workers', '2'])
        .concat(args),
      { environment: { CANOPY_CREDENTIAL: credential } },
    );
    await edge.says('admin on ');
    return edge;
  }

  get url(): string {
    return /serving on (\S+)/.exec(this.stdout + this.stderr)?.[1] ?? '';
  }

  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const adminUrl = /admin on (\S+)/.exec(this.stdout + this.stderr)?.[1];
    const answer = await fetch(`${adminUrl}/metrics`);
    return total(parseExposition(await answer.text(), 'prometheus'), name, labels);
  }
}

/** So many requests, over connections to both threads. @returns how many were answered */
async function load(url: string, amount: number, path = '/a'): Promise<number> {
  const result = await autocannon({ url: url + path, connections: CONNECTIONS, amount });
  expect(result.errors).toBe(0);
  return result['2xx'];
}

/** The lines of a file and of those it has left, in their order. */
async function linesOf(file: string): Promise<readonly string[]> {
  const files = [...(await rotatedFiles(file)), file];
  const texts = await Promise.all(
    files.map(async (name) => {
      const content = await readFile(name);
      return (name.endsWith('.gz') ? gunzipSync(content) : content).toString();
    }),
  );
  return texts.flatMap((text) => text.split('\n').slice(0, -1));
}

const targetsOf = (lines: readonly string[]): readonly string[] =>
  lines.map((line) => (JSON.parse(line) as { target: string }).target);

describe('a file', () => {
  test('has every request once, while it is rotated and packed, moved away and opened anew, and at the end', async () => {
    const file = join(dir, 'access.log');
    const size = ['--access-log-max', '1m', '--access-log-keep', '100', '--access-log-compress'];
    const edge = await Edge.start('--access-log', file, ...size);
    let answered = await load(edge.url, 8000);
    const loading = load(edge.url, 4000);
    await rename(file, `${file}.of-logrotate`);
    edge.signal('SIGHUP');
    answered += await loading;
    expect(await edge.metric('canopy_access_log_dropped_total')).toBe(0);
    // What was answered last has not been handed over yet.
    answered += await load(edge.url, 1000);
    expect(await edge.end('SIGTERM')).toBe(0);
    expect((await rotatedFiles(file)).length).toBeGreaterThan(1);
    const moved = (await readFile(`${file}.of-logrotate`, 'utf8')).split('\n').slice(0, -1);
    const lines = [...moved, ...(await linesOf(file))];
    expect(lines.length).toBe(answered);
    expect(answered).toBe(13_000);
    expect(new Set(targetsOf(lines))).toEqual(new Set(['/a']));
  });

  test('SIGTERM amid requests: whatever was answered is in it', async () => {
    const file = join(dir, 'access.log');
    const edge = await Edge.start('--access-log', file, '--access-log-format', 'combined');
    // A callback has it return what can be listened to.
    const over = Promise.withResolvers<void>();
    const options = { url: edge.url, connections: CONNECTIONS, amount: 100_000 };
    const loading = autocannon(options, () => over.resolve());
    let answered = 0;
    const some = Promise.withResolvers<void>();
    loading.on('response', () => {
      if (++answered === 2000) some.resolve();
    });
    await some.promise;
    expect(await edge.end('SIGTERM')).toBe(0);
    (loading as unknown as { stop(): void }).stop();
    await over.promise;
    const lines = await linesOf(file);
    expect(lines.length).toBeGreaterThanOrEqual(answered);
    // Answers under way that the client did not wait for.
    expect(lines.length).toBeLessThanOrEqual(answered + CONNECTIONS);
    const line =
      /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET \/ HTTP\/1\.1" 200 5 "-" "-"$/;
    expect(lines.filter((one) => !line.test(one))).toEqual([]);
    const simulated = await canopy(['simulate', file, '--json', '--memory', '1m']);
    expect(JSON.parse(simulated.stdout)).toMatchObject({
      requests: lines.length,
      objects: 1,
      unreadable: 0,
    });
  });

  test('that cannot be written stops the start with one line that names it', async () => {
    const file = join(dir, 'not there', 'access.log');
    const environment = { CANOPY_CREDENTIAL: credential };
    const edge = new LongRunning(
      ['edge', '--name', 'edge', '--control-plane', controlPlane.url, '--dir', dir]
        .concat(['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'])
        .concat(['--access-log', file]),
      { environment },
    );
    await expect(edge.says('serving')).rejects.toThrow(
      /canopy: Cannot write the access log .*not there\/access\.log: ENOENT.*\(invalid-input\)/,
    );
  });
});

describe('standard output', () => {
  test('has lines and nothing else; messages go to the other', async () => {
    const edge = await Edge.start('--access-log', '-', '--access-log-addresses', 'truncated');
    const answered = await load(edge.url, 500);
    expect(await edge.end('SIGTERM')).toBe(0);
    const lines = edge.stdout.split('\n').slice(0, -1);
    expect(targetsOf(lines)).toEqual(Array.from({ length: answered }, () => '/a'));
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ client: '127.0.0.0', location: 'oslo' });
    expect(edge.stderr).toContain('edge serves');
  });

  test('that nobody reads holds up no request: lines are dropped and counted', async () => {
    const edge = await Edge.start('--access-log', '-');
    edge.leaveUnread();
    // More than all buffers together take.
    const answered = await load(edge.url, 4000, `/${'x'.repeat(4000)}`);
    expect(answered).toBe(4000);
    await eventually(async () =>
      expect(await edge.metric('canopy_access_log_dropped_total', { why: 'busy' })).toBeGreaterThan(
        0,
      ),
    );
    expect((await curl(`${edge.url}/a`)).status).toBe(200);
    await edge.end('SIGKILL');
  });
});

test('a receiver that fails at first gets every request; the secret is in no setting that is shown', async () => {
  const received: string[] = [];
  let failures = 2;
  const receiver = createServer((incoming: IncomingMessage, outgoing: ServerResponse) => {
    void buffer(incoming).then((content) => {
      const isRight = incoming.headers.authorization === 'Bearer the-secret';
      if (!isRight) outgoing.writeHead(401).end();
      else if (failures-- > 0) outgoing.writeHead(503).end();
      else {
        received.push(...gunzipSync(content).toString().split('\n').slice(0, -1));
        outgoing.writeHead(204).end();
      }
    });
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const secret = join(dir, 'authorization');
  await writeFile(secret, 'Bearer the-secret\n');
  const edge = await Edge.start(
    '--access-log',
    `http://127.0.0.1:${portOf(receiver)}/logs`,
    '--access-log-authorization-file',
    secret,
  );
  const answered = await load(edge.url, 2000);
  expect(await edge.end('SIGTERM')).toBe(0);
  expect(targetsOf(received)).toEqual(Array.from({ length: answered }, () => '/a'));
  expect(failures).toBeLessThan(0);
  expect(edge.stdout).toContain('accessLogAuthorizationFile');
  expect(edge.stdout + edge.stderr).not.toContain('the-secret');
  receiver.close();
});

test('canopy up --access-log', async () => {
  const up = await RunningUp.start(dir, '--edges', '1', '--mid-tiers', '0', '--access-log');
  await curl(`${up.ready.edges[0]?.url}/style.css`, '-A', 'curl of a test');
  await up.end('SIGTERM');
  const lines = await linesOf(join(dir, 'nodes', 'edge-oslo', 'access.log'));
  const ours = lines.filter((line) => line.includes('curl of a test'));
  expect(ours.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { target: '/style.css', location: 'oslo', site: 'default', cache: 'miss', parent: 'origin' },
  ]);
});
