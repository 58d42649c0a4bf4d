import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RunningUp } from '#test/e2e/canopy.ts';

// The public suite of HTTP cache tests (npm `http-cache-tests`) against a real edge and mid-tier.
// Every case that we do not pass stands in docs/conformance.md with its reason, and no other.

const SUITE = fileURLToPath(new URL('../../node_modules/http-cache-tests/', import.meta.url));
const DOCUMENT = new URL('../../docs/conformance.md', import.meta.url);

/** A case as the suite defines it; those without `kind` are required. */
interface Case {
  readonly id: string;
  readonly kind?: 'check' | 'optimal';
  readonly browser_only?: boolean;
}

let root: string;
let origin: ChildProcess;
let up: RunningUp;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-conformance-'));
  const port = await freePort();
  origin = suite('server/server.mjs', { protocol: 'http', port, pidfile: join(root, 'pid') });
  await listening(origin);
  const site = join(root, 'site.json');
  // On a crowded machine the suite's server is slow to answer, which is not to be taken for an outage.
  const settings = {
    cache: { honourClientCacheControl: true },
    upstream: { staleAfterMs: 10_000 },
  };
  await writeFile(site, JSON.stringify(settings));
  const shape = ['--edges', '1', '--mid-tiers', '2', '--site', site];
  up = await RunningUp.start(join(root, 'state'), '--pull', `http://127.0.0.1:${port}`, ...shape);
}, 60_000);

afterAll(async () => {
  await up.end('SIGINT');
  origin.kill();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

test('passes every case that is not listed with its reason', async () => {
  const results = await runSuite(up.ready.edges[0]?.url ?? '');
  const cases = (await casesOf()).filter(({ kind, browser_only: b }) => kind !== 'check' && !b);
  const failed = cases.filter(({ id }) => results[id] !== true).map(({ id }) => id);
  const rows = (await readFile(DOCUMENT, 'utf8')).matchAll(/^\| `([^`]+)`/gm);
  const listed = [...rows].map(([, id]) => id ?? '');
  expect(Object.keys(results).length).toBeGreaterThan(300);
  expect(failed.toSorted()).toEqual(listed.toSorted());
}, 180_000);

async function runSuite(base: string): Promise<Readonly<Record<string, unknown>>> {
  const client = suite('cli.mjs', { base, id: '' });
  const { stdout } = client;
  if (stdout === null) throw new Error('The suite has no output');
  return JSON.parse(await text(stdout)) as Readonly<Record<string, unknown>>;
}

async function casesOf(): Promise<readonly Case[]> {
  const modules = await Promise.all(
    ['index', 'surrogate-control'].map(
      (name) => import(`${SUITE}tests/${name}.mjs`) as Promise<{ default: unknown }>,
    ),
  );
  const suites = modules.flatMap((module) => module.default) as { tests: readonly Case[] }[];
  return suites.flatMap(({ tests }) => tests);
}

/** Runs a program of the suite, which takes its settings as npm passes them to scripts. */
function suite(script: string, settings: Readonly<Record<string, string | number>>): ChildProcess {
  const environment = Object.entries(settings).flatMap(([name, value]) => [
    [`npm_config_${name}`, String(value)],
    [`npm_package_config_${name}`, String(value)],
  ]);
  return spawn(process.execPath, ['--no-warnings', script], {
    cwd: SUITE,
    env: { ...process.env, ...Object.fromEntries(environment) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

function listening(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error('The origin of the suite has ended')));
    child.stdout?.on('data', (chunk: Buffer) => {
      if (chunk.includes('Listening')) resolve();
    });
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => void server.close(resolve));
  return port;
}
