import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestAuthority } from '#test/tls/authority.ts';
import { curl, LongRunning, RunningUp } from './canopy.ts';

// An edge that answers, but not as it should: routers are told of it by the control plane.

const run = promisify(execFile);
const SOON = { timeout: 60_000, interval: 200 };
const HOST = 'film.test';
const ADDRESS = '198.18.0.9';

let root: string;
let disk: string;
let up: RunningUp;
let edge: LongRunning;
let url: string;
let tlsPort: number;
/** Between the edge and the control plane. */
let between: Server;
let givesCertificates = false;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-unwell-'));
  disk = join(root, 'disk');
  await mkdir(disk);
  await writeFile(join(root, 'site.json'), JSON.stringify({ hosts: [HOST, '*'] }));
  const options = ['--routers', '1', '--edges', '1', '--site', join(root, 'site.json')];
  up = await RunningUp.start(join(root, 'state'), ...options);
  between = await passing(up.ready.controlPlane.url);
  await certify();
  await startEdge();
  await change('/v1/nodes/edge-unwell', { addresses: [ADDRESS] });
  await change('/v1/sites/default', { routing: { answers: 16, nearMs: 1000 } });
}, 120_000);

afterAll(async () => {
  await edge.end('SIGTERM');
  await up.end('SIGTERM');
  between.closeAllConnections();
  between.close();
  spawnSync('umount', ['--lazy', disk]);
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

/** Passes on all that is asked of the control plane, certificates only when they are to be had. */
async function passing(target: string): Promise<Server> {
  const server = createServer((incoming, outgoing) => {
    if (incoming.url?.startsWith('/v1/node/certificates/') === true && !givesCertificates) {
      outgoing.writeHead(503).end();
      return;
    }
    const { method, headers } = incoming;
    const passed = request(`${target}${incoming.url}`, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      outgoing.flushHeaders();
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    outgoing.on('close', () => passed.destroy());
    incoming.pipe(passed);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function certify(): Promise<void> {
  const { cert, key } = await (await TestAuthority.create()).issue({ names: [HOST] });
  await writeFile(join(root, 'cert.pem'), cert);
  await writeFile(join(root, 'key.pem'), key);
  const files = ['--cert', join(root, 'cert.pem'), '--key', join(root, 'key.pem')];
  const put = await up.command('certificates', 'put', 'film', ...files, '--private-authority');
  expect(put.code).toBe(0);
}

async function startEdge(): Promise<void> {
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const nodes = ['nodes', 'enrol', 'edge-unwell', '--tier', 'edge', '--location', 'oslo,59.9,10.7'];
  const enrolled = await up.command(...nodes, '--url', url, '--json');
  const { token } = JSON.parse(enrolled.stdout) as { token: string };
  const cp = `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
  const places = ['--dir', join(root, 'edge'), '--listen', `127.0.0.1:${port}`];
  const listens = ['--tls-listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
  const store = ['--disk', '1g', '--disk-dir', join(disk, 'store'), '--disk-keep-free', '1m'];
  const command = ['edge', '--enrol', token, '--control-plane', cp, '--workers', '1'];
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk]).status).toBe(0);
  edge = new LongRunning([...command, ...places, ...listens, ...store]);
  await edge.says('edge serves');
  tlsPort = Number(/"tlsUrl":"https:\/\/127\.0\.0\.1:(\d+)"/.exec(edge.stdout)?.[1]);
}

async function freePort(): Promise<number> {
  const server = createNetServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => void server.close(resolve));
  return port;
}

/** Changes a site or node as it is configured. */
async function change(path: string, add: object): Promise<void> {
  const { url: at, token } = up.ready.controlPlane;
  const authorization = ['-H', `Authorization: Bearer ${token}`];
  const { body } = await curl(...authorization, `${at}${path}`);
  const changed = JSON.stringify({ ...(JSON.parse(body) as object), ...add });
  const json = ['-H', 'Content-Type: application/json', '-X', 'PUT', '--data', changed];
  expect((await curl(...authorization, ...json, `${at}${path}`)).status).toBe(200);
}

const router = () => up.ready.routers[0];

/** Whether each output of the router says that clients may go to the edge. */
async function naming() {
  const { host, port } = router()?.dns ?? { host: '', port: 0 };
  const ask = [`@${host}`, '-p', String(port), '+time=5', '+short', 'default.canopy.test', 'A'];
  const { stdout } = await run('dig', ask);
  const target = encodeURIComponent(`http://${HOST}/`);
  const { body } = await curl(`${router()?.url}/route?url=${target}`);
  const { edges } = JSON.parse(body) as { edges: readonly { readonly name: string }[] };
  // Of a path or another it is the one that clients are sent to.
  const locations = await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const { fields } = await curl('-H', `Host: ${HOST}`, `${router()?.url}/${i}`);
      return fields.get('location') ?? '';
    }),
  );
  return {
    dns: stdout.includes(ADDRESS),
    list: edges.some(({ name }) => name === 'edge-unwell'),
    redirect: locations.some((location) => location.includes('edge-unwell')),
  };
}

const all = (named: boolean) => ({ dns: named, list: named, redirect: named });

/** As a browser begins. @returns whether it was given a certificate */
function shakesHands(): Promise<boolean> {
  return new Promise((resolve) => {
    const to = { host: '127.0.0.1', port: tlsPort, servername: HOST, rejectUnauthorized: false };
    const socket = connect(to, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

const reasons = async (): Promise<string> =>
  (await up.command('explain', 'route', '--client', '81.2.69.160', '--site', 'default')).stdout;

/** Whether the router sends some of its clients elsewhere. */
const isShedding = async (): Promise<boolean> => {
  const { body } = await curl(`${router()?.adminUrl}/metrics`);
  return /canopy_router_shed\{[^}]*edge-unwell[^}]*\} 0\.\d/.test(body);
};

test('an edge that cannot get a certificate is sent no clients of its site until it can', async () => {
  await expect.poll(naming, SOON).toEqual(all(true));
  expect(await shakesHands()).toBe(false);
  await expect.poll(naming, SOON).toEqual(all(false));
  expect(await reasons()).toMatch(/serves +edge-unwell +no-certificate/);
  givesCertificates = true;
  await expect.poll(naming, SOON).toEqual(all(true));
  expect(await shakesHands()).toBe(true);
});

test('an edge whose disk fails is sent no clients until it works again', async () => {
  const filling = createWriteStream(join(disk, 'of others'));
  const full = once(filling, 'error');
  const more = (): void => void filling.write(Buffer.alloc(64 * 1024), (error) => error ?? more());
  more();
  await full.catch(() => undefined);
  let asked = 0;
  await expect
    .poll(async () => {
      // It finds out when it stores something.
      await curl('-H', `Host: ${HOST}`, `${url}/style.css?${asked++}`);
      return naming();
    }, SOON)
    .toEqual(all(false));
  expect(await reasons()).toMatch(/healthy +edge-unwell +ailing/);
  await rm(join(disk, 'of others'));
  await expect.poll(naming, SOON).toEqual(all(true));
});

test('an edge that has reached its limits sheds clients', async () => {
  expect(await isShedding()).toBe(false);
  const held = connect({
    host: '127.0.0.1',
    port: tlsPort,
    servername: HOST,
    rejectUnauthorized: false,
  });
  await once(held, 'secureConnect');
  await change('/v1/nodes/edge-unwell', { limits: { connections: 1 } });
  await expect.poll(isShedding, SOON).toBe(true);
  held.destroy();
});
