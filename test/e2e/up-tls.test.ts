import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestAuthority } from '#test/tls/authority.ts';
import { RunningUp } from './canopy.ts';

const run = promisify(execFile);

let root: string;
let dir: string;
let up: RunningUp;

const start = (): Promise<RunningUp> =>
  RunningUp.start(dir, '--tls', '--edges', '2', '--mid-tiers', '1', '--host', 'www.shop.example');

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-up-tls-'));
  dir = join(root, 'state');
  up = await start();
}, 90_000);

afterAll(async () => {
  await up.end('SIGINT');
  await rm(root, { recursive: true, force: true });
});

const ca = (): string => join(dir, 'tls', 'ca.pem');

/** By curl, which believes no other authority. */
async function seenBy(host: string, edge: number, ...options: readonly string[]): Promise<string> {
  const { port } = new URL(up.ready.edges[edge]?.tlsUrl ?? '');
  const { stdout } = await run('curl', [
    '-sS',
    '--cacert',
    ca(),
    '--connect-to',
    `::127.0.0.1:${port}`,
    '-o',
    '/dev/null',
    '-w',
    '%{http_version} %{http_code}',
    ...options,
    `https://${host}:${port}/`,
  ]);
  return stdout;
}

test('--tls serves every edge under the hosts of the site, to whoever trusts its authority', async () => {
  for (const edge of [0, 1]) {
    expect(await seenBy('www.shop.example', edge, '--http2')).toBe('2 200');
    expect(await seenBy('www.shop.example', edge, '--http1.1')).toBe('1.1 200');
  }
  const own = ['-H', 'Host: www.shop.example', '--http1.1'];
  expect(await seenBy('127.0.0.1', 0, ...own)).toBe('1.1 200');
  expect(up.stdout).toContain(`curl -i --cacert ${ca()} ${up.ready.edges[0]?.tlsUrl}/`);
  await expect(seenBy('www.shop.example', 0, '--cacert', '/dev/null')).rejects.toThrow('curl');
});

test('the authority is made once, and nobody else can read its key', async () => {
  const { mode } = await stat(join(dir, 'tls', 'ca-key.pem'));
  expect(mode & 0o077).toBe(0);
  const before = await readFile(ca(), 'utf8');
  await up.end('SIGINT');
  up = await start();
  expect(await readFile(ca(), 'utf8')).toBe(before);
  expect(await seenBy('www.shop.example', 0)).toMatch(/ 200$/);
});

test('a certificate of the operator by that name stays', async () => {
  const authority = await TestAuthority.create();
  const { cert, key } = await authority.issue({ names: ['www.shop.example'] });
  const [certFile, keyFile] = [join(root, 'cert.pem'), join(root, 'key.pem')];
  await writeFile(certFile, cert);
  await writeFile(keyFile, key);
  const files = ['--cert', certFile, '--key', keyFile, '--private-authority'];
  expect((await up.command('certificates', 'put', 'default', ...files)).code).toBe(0);
  await up.end('SIGINT');
  up = await start();
  const { stdout } = await up.command('certificates', 'list', '--json');
  expect(JSON.parse(stdout)).toMatchObject([{ name: 'default', issuer: 'CN=Canopy test root' }]);
});
