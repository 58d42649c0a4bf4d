import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Authority } from '#test/scenario/kit/certificates.ts';
import { canopy, type Finished, LongRunning } from './canopy.ts';

let dir: string;
let authority: Authority;
const running: LongRunning[] = [];
/** Everything that was printed, by whatever process. */
let printed: string[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-access-'));
  authority = new Authority();
  printed = [];
});

// Each command is a process of its own, a dozen in some tests.
vi.setConfig({ testTimeout: 300_000 });
afterEach(async () => {
  await Promise.all(running.splice(0).map((process) => process.end('SIGKILL')));
  authority.forget();
  await rm(dir, { recursive: true, force: true, maxRetries: 10 });
});

async function serving(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<LongRunning & { readonly url: string }> {
  const process = new LongRunning([...args, '--admin', '127.0.0.1:0'], { cwd: dir, environment });
  running.push(process);
  await process.says('serving on ');
  return Object.assign(process, { url: /serving on (\S+)/.exec(process.stdout)?.[1] ?? '' });
}

const ADMIN = 'the-admin-token-of-this-network';

/** A control plane over TLS, and commands that are told how to reach it. */
async function network() {
  const { cert, key } = authority.certify('IP:127.0.0.1');
  await writeFile(join(dir, 'ca.pem'), authority.ca);
  await writeFile(join(dir, 'cert.pem'), cert);
  await writeFile(join(dir, 'key.pem'), key);
  const tls = ['--tls-cert', 'cert.pem', '--tls-key', 'key.pem'];
  const controlPlane = await serving(['control-plane', '--listen', '127.0.0.1:0', ...tls], {
    CANOPY_ADMIN_TOKEN: ADMIN,
  });
  const there = ['--control-plane', controlPlane.url, '--control-plane-ca', 'ca.pem'];
  const command = async (args: readonly string[], token = ADMIN): Promise<Finished> => {
    const finished = await canopy([...args, ...there, '--token', token], { cwd: dir });
    printed.push(finished.stderr);
    return finished;
  };
  const json = async (args: readonly string[]): Promise<Record<string, unknown>> =>
    JSON.parse((await command([...args, '--json'])).stdout) as Record<string, unknown>;
  return { controlPlane, there, command, json };
}

const EDGE = ['--tier', 'edge', '--location', 'oslo,59.9,10.7', '--url', 'http://127.0.0.1:1'];
const SERVE = ['--listen', '127.0.0.1:0', '--dir', 'edge', '--workers', '1', '--memory', '64m'];

test('a node is enrolled over TLS, once, and starts again without the token', async () => {
  const { there, command, json } = await network();
  const token = String((await json(['nodes', 'enrol', 'edge-oslo', ...EDGE]))['token']);
  const edge = await serving(['edge', '--enrol', token, ...there, ...SERVE]);
  expect(edge.stdout).toMatch(/^enrol +\*{8} +--enrol$/m);
  expect((await command(['nodes'])).stdout).toMatch(/^edge-oslo .* yes /m);
  const kept = join(dir, 'edge', 'enrolment.json');
  expect((await stat(kept)).mode & 0o777).toBe(0o600);
  expect(await edge.end('SIGTERM')).toBe(0);

  const elsewhere = SERVE.map((word) => (word === 'edge' ? 'elsewhere' : word));
  const admin = ['--admin', '127.0.0.1:0'];
  const second = await canopy(['edge', '--enrol', token, ...there, ...elsewhere, ...admin], {
    cwd: dir,
  });
  expect(second.code).toBe(1);
  expect(second.stderr).toMatch(/was used already, at .* \(unauthenticated\)\n$/);

  await (await serving(['edge', '--enrol', token, ...there, ...SERVE])).end('SIGTERM');
  const again = await serving(['edge', ...there, ...SERVE]);
  expect(await again.end('SIGTERM')).toBe(0);
});

test('tokens are made, rotated and revoked, and the audit log tells of it', async () => {
  const { command, json } = await network();
  const made = await command(['tokens', 'create', 'deploy', '--scope', 'read', '--expires', '90d']);
  expect(made.code).toBe(0);
  const first = made.stdout.split('\n')[0] ?? '';
  expect(first).toMatch(/^[\w-]{43}$/);
  expect((await command(['sites', 'list'], first)).code).toBe(0);
  const rotate = ['tokens', 'rotate', 'deploy', '--overlap', '0s'];
  const second = String((await json(rotate))['token']);
  expect((await command(['sites', 'list'], first)).stderr).toMatch(/\(unauthenticated\)\n$/);
  expect((await command(['sites', 'list'], second)).code).toBe(0);
  expect((await command(['tokens', 'list'])).stdout).toMatch(
    /^deploy +read +all +20\d\d-\S+Z +20\d\d-\S+Z +-$/m,
  );
  expect((await command(['sites', 'delete', 'shop'], second)).stderr).toMatch(/\(forbidden\)\n$/);
  expect((await command(['tokens', 'revoke', 'deploy'])).stdout).toBe('deploy is revoked\n');
  const audit = (await command(['audit', '--last', '3'])).stdout.split('\n');
  expect(audit).toHaveLength(5);
  expect(audit[1]).toMatch(/ admin +127\.0\.0\.1 +DELETE \/v1\/tokens\/deploy +204 +- /);
  expect(audit[2]).toMatch(/ deploy +127\.0\.0\.1 +DELETE \/v1\/sites\/shop +403 +forbidden /);
});

test('no secret is in what any process prints, nor in what the API gives away', async () => {
  const { controlPlane, there, command, json } = await network();
  const first = String((await json(['tokens', 'create', 'deploy', '--scope', 'purge']))['token']);
  const second = String((await json(['tokens', 'rotate', 'deploy']))['token']);
  const enrolment = String((await json(['nodes', 'enrol', 'edge-oslo', ...EDGE]))['token']);
  const edge = await serving(['edge', ...there, ...SERVE], { CANOPY_ENROL: enrolment });
  await command(['sites', 'list'], `${second}x`);
  await command(['tier-key', 'rotate', '--wait']);
  await command(['purge', 'http://nowhere.example/'], second);
  await edge.end('SIGTERM');
  const kept = await readFile(join(dir, 'edge', 'enrolment.json'), 'utf8');
  const { credential } = JSON.parse(kept) as { credential: string };
  await command(['backup', 'backup.jsonl']);
  const backup = await readFile(join(dir, 'backup.jsonl'), 'utf8');
  const header = JSON.parse(backup.split('\n')[0] ?? '') as { network: Record<string, string> };
  const tokens = [ADMIN, first, second, enrolment, credential];
  const keys = Object.values(header.network);
  expect(keys).toHaveLength(2);

  const given = await Promise.all(
    ['sites list', 'nodes', 'tokens list', 'audit'].map((line) => json(line.split(' '))),
  );
  await controlPlane.end('SIGTERM');
  for (const { stdout, stderr } of running) printed.push(stdout, stderr);
  const everything = [...printed, JSON.stringify(given)].join('\n');
  expect(everything).toContain('edge-oslo');
  for (const secret of [...tokens, ...keys]) expect(everything).not.toContain(secret);
  // A backup holds the network's keys, as it says, but of what others prove themselves by only digests.
  for (const secret of tokens) expect(backup).not.toContain(secret);
  // Nor does the state.
  for (const file of await readdir(join(dir, '.canopy', 'control-plane'))) {
    const content = await readFile(join(dir, '.canopy', 'control-plane', file), 'latin1');
    for (const secret of tokens) expect(content).not.toContain(secret);
  }
});
