import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestAuthority } from '#test/tls/authority.ts';
import { LongRunning, RunningUp } from './canopy.ts';

// A network whose edge of two threads serves TLS: real clients, and those who look for weaknesses.

const run = promisify(execFile);
const HOST = 'www.film.example';

let root: string;
let server: Server;
let up: RunningUp;
let edge: LongRunning;
let port: string;
let ca: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-tls-'));
  const film = join(root, 'film.mp4');
  await run('ffmpeg', [
    '-v',
    'error',
    '-f',
    'lavfi',
    '-i',
    'testsrc=duration=8:size=320x240:rate=10',
    '-c:v',
    'libx264',
    '-pix_fmt',
    'yuv420p',
    '-movflags',
    '+faststart',
    film,
  ]);
  const files = pages(await readFile(film));
  server = createServer((incoming, outgoing) => {
    const [type, content] = files[incoming.url ?? ''] ?? ['text/plain', 'nothing'];
    outgoing.setHeader('Content-Type', type);
    outgoing.setHeader('Cache-Control', 'max-age=600');
    outgoing.setHeader('ETag', '"1"');
    outgoing.setHeader('Content-Length', Buffer.byteLength(content));
    outgoing.end(content);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  up = await RunningUp.start(join(root, 'state'), '--pull', origin, '--edges', '1');
  edge = await startEdge();
  await certify();
}, 120_000);

afterAll(async () => {
  await edge.end('SIGTERM');
  await up.end('SIGINT');
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

const PIXEL = Buffer.from('R0lGODlhAQABAIAAAP8AAAAAACwAAAAAAQABAAACAkQBADs=', 'base64');

const pages = (film: Buffer): Readonly<Record<string, readonly [string, string | Buffer]>> => ({
  '/': [
    'text/html',
    `<!doctype html><title>waiting</title>${[1, 2, 3].map((n) => `<img src="/${n}.gif">`).join('')}
     <video id="film" muted src="/film.mp4"></video><script src="/play.js"></script>`,
  ],
  '/1.gif': ['image/gif', PIXEL],
  '/2.gif': ['image/gif', PIXEL],
  '/3.gif': ['image/gif', PIXEL],
  '/film.mp4': ['video/mp4', film],
  '/play.js': [
    'text/javascript',
    `const film = document.getElementById('film');
     film.onseeked = () => (document.title = 'at ' + film.currentTime);
     film.onloadedmetadata = () => (film.currentTime = 5);`,
  ],
});

async function startEdge(): Promise<LongRunning> {
  const nodes = ['nodes', 'enrol', 'edge-tls', '--tier', 'edge', '--location', 'oslo,59.9,10.7'];
  const enrolled = await up.command(...nodes, '--url', 'http://127.0.0.1:1', '--json');
  const { token } = JSON.parse(enrolled.stdout) as { token: string };
  const running = new LongRunning([
    'edge',
    '--enrol',
    token,
    '--control-plane',
    up.ready.controlPlane.url,
    '--dir',
    join(root, 'edge'),
    '--listen',
    '127.0.0.1:0',
    '--admin',
    '127.0.0.1:0',
    '--tls-listen',
    '127.0.0.1:0',
    '--workers',
    '2',
  ]);
  await running.says('edge serves');
  port = /"tlsUrl":"https:\/\/127\.0\.0\.1:(\d+)"/.exec(running.stdout)?.[1] ?? '';
  return running;
}

async function certify(): Promise<void> {
  const authority = await TestAuthority.create();
  const { cert, key } = await authority.issue({ names: [HOST, 'localhost'] });
  ca = join(root, 'ca.pem');
  await writeFile(ca, authority.ca);
  await writeFile(join(root, 'cert.pem'), cert);
  await writeFile(join(root, 'key.pem'), key);
  const files = ['--cert', join(root, 'cert.pem'), '--key', join(root, 'key.pem')];
  const refused = await up.command('certificates', 'put', 'film', ...files);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('an authority that browsers know');
  const put = await up.command('certificates', 'put', 'film', ...files, '--private-authority');
  expect(put.stdout).toContain('film is presented for *');
  const listed = await up.command('certificates', 'list');
  expect(listed.stdout).toContain(HOST);
}

const curl = (...args: readonly string[]) =>
  run('curl', [
    '-sS',
    '--cacert',
    ca,
    '--resolve',
    `${HOST}:${port}:127.0.0.1`,
    '-o',
    join(root, 'body'),
    '-w',
    '%{http_version} %{http_code}',
    ...args,
    `https://${HOST}:${port}/`,
  ]);

test('curl gets a page by HTTP/2 and by HTTP/1.1', async () => {
  await expect.poll(async () => (await curl('--http2')).stdout, { timeout: 60_000 }).toBe('2 200');
  expect((await curl('--http1.1')).stdout).toBe('1.1 200');
  expect((await curl('--http1.1', '--tls-max', '1.2')).stdout).toBe('1.1 200');
  expect((await curl('--http2', '--request', 'TRACE')).stdout).toBe('2 405');
});

test.for(['h2', 'http/1.1'])(
  'h2load has every one of its requests answered by %s',
  async (protocol) => {
    const options = ['-n', '2000', '-c', '10', '-m', protocol === 'h2' ? '10' : '1'];
    const { stdout } = await run('h2load', [
      ...options,
      `--npn-list=${protocol}`,
      `--connect-to=127.0.0.1:${port}`,
      `https://${HOST}:${port}/1.gif`,
    ]);
    expect(stdout).toContain('2000 succeeded, 0 failed');
    expect(stdout).toContain('2000 2xx');
  },
);

test('a browser loads a page with images, scripts and a video by HTTP/2', async () => {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', `--host-resolver-rules=MAP ${HOST} 127.0.0.1`],
  });
  try {
    const page = await browser.newPage({ ignoreHTTPSErrors: true });
    await page.goto(`https://${HOST}:${port}/`);
    await page.waitForFunction("document.title.startsWith('at ')", undefined, { timeout: 60_000 });
    expect(await page.title()).toBe('at 5');
    const loaded = await page.evaluate<{ name: string; protocol: string }[]>(
      `performance.getEntriesByType('resource').map(({ name, nextHopProtocol }) =>
        ({ name: new URL(name).pathname, protocol: nextHopProtocol }))`,
    );
    const paths = loaded.map(({ name }) => name);
    expect(paths).toEqual(expect.arrayContaining(['/1.gif', '/2.gif', '/3.gif', '/play.js']));
    expect(new Set(loaded.map(({ protocol }) => protocol))).toEqual(new Set(['h2']));
    expect(
      await page.evaluate('[...document.images].every((image) => image.naturalWidth === 1)'),
    ).toBe(true);
  } finally {
    await browser.close();
  }
});

interface Weakness {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

test('testssl.sh finds no weakness of medium or worse', async () => {
  const found = join(root, 'testssl.json');
  const checks = ['--protocols', '--server-preference', '--fs', '--vulnerable'];
  await run('testssl', [
    ...checks,
    '--quiet',
    '--color',
    '0',
    '--warnings',
    'off',
    '--ip',
    '127.0.0.1',
    '--nodns',
    'none',
    '--sneaky',
    '--jsonfile',
    found,
    `${HOST}:${port}`,
  ]).catch((error: unknown) => error);
  const all = JSON.parse(await readFile(found, 'utf8')) as Weakness[];
  expect(all.find(({ id }) => id === 'TLS1_3')?.severity).toBe('OK');
  expect(all.map(({ id }) => id)).toEqual(expect.arrayContaining(['heartbleed', 'secure_renego']));
  expect(all.filter(({ severity }) => BAD.has(severity))).toEqual([]);
}, 300_000);

const BAD: ReadonlySet<string> = new Set(['MEDIUM', 'HIGH', 'CRITICAL', 'FATAL']);
