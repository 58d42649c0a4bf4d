import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '#test/eventually.ts';
import { canopy, isRunning, LongRunning, RunningUp, kill } from './canopy.ts';

let dir: string;
const running: LongRunning[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-processes-'));
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((process) => process.end('SIGKILL')));
  await rm(dir, { recursive: true, force: true, maxRetries: 10 });
});

async function serving(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ process: LongRunning; url: string }> {
  const process = new LongRunning(args, {
    cwd: dir,
    environment: { CANOPY_ADMIN: '127.0.0.1:0', ...environment },
  });
  running.push(process);
  await process.says('serving on ');
  return { process, url: /serving on (\S+)/.exec(process.stdout)?.[1] ?? '' };
}

describe('processes by themselves', () => {
  test('a control plane and an edge that is told of it by file, environment and flag', async () => {
    const { process: controlPlane, url } = await serving([
      'control-plane',
      '--listen',
      '127.0.0.1:0',
    ]);
    const token = /admin token, shown this once: (\S+)/.exec(controlPlane.stdout)?.[1] ?? '';
    const answer = await fetch(`${url}/v1/nodes/edge-oslo`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        name: 'edge-oslo',
        tier: 'edge',
        location: { name: 'oslo', latitude: 59.91, longitude: 10.75 },
        url: 'http://127.0.0.1:8080',
      }),
    });
    const { credential } = (await answer.json()) as { credential: string };
    await writeFile(join(dir, 'edge.yaml'), `name: edge-oslo\ncontrolPlaneUrls: [${url}]\n`);
    await writeFile(join(dir, 'credential'), `${credential}\n`);

    const { process: edge } = await serving(
      ['edge', '--config', 'edge.yaml', '--credential-file', 'credential', '--memory', '64m'],
      { CANOPY_LISTEN: '127.0.0.1:0' },
    );
    expect(edge.stdout).toMatch(/^name +edge-oslo +edge\.yaml$/m);
    expect(edge.stdout).toMatch(/^listen +127\.0\.0\.1:0 +CANOPY_LISTEN$/m);
    expect(edge.stdout).toMatch(/^memoryBytes +64m +--memory$/m);
    expect(edge.stdout).toMatch(/^workers +\d+ +default$/m);
    expect(edge.stdout).not.toContain(credential);

    const nodes = await canopy(['nodes', '--control-plane', url, '--token', token], { cwd: dir });
    expect(nodes.stdout).toMatch(/^edge-oslo .* yes /m);
    expect(await edge.end('SIGTERM')).toBe(0);
    expect(await controlPlane.end('SIGTERM')).toBe(0);
  });

  test('a server goes on when the reader of its output is gone', async () => {
    const process = new LongRunning(['control-plane', '--listen', '127.0.0.1:18199'], {
      cwd: dir,
      environment: { CANOPY_ADMIN: '127.0.0.1:18198' },
    });
    running.push(process);
    process.closeOutput();
    const health = await eventually(() => fetch('http://127.0.0.1:18198/healthz'));
    expect(health.status).toBe(200);
    expect(await process.end('SIGTERM')).toBe(0);
  });

  test('a given admin token is masked', async () => {
    const token = 'a-token-of-the-operator';
    const { process } = await serving(['control-plane', '--listen', '127.0.0.1:0'], {
      CANOPY_ADMIN_TOKEN: token,
    });
    expect(process.stdout).toMatch(/^adminToken +\*{8} +CANOPY_ADMIN_TOKEN$/m);
    expect(process.stdout).not.toContain(token);
  });

  test('two control planes on one directory: the second is refused', async () => {
    await serving(['control-plane', '--listen', '127.0.0.1:0']);
    const second = await canopy(['control-plane', '--listen', '127.0.0.1:0'], { cwd: dir });
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/^canopy: .* \(conflict\)\n$/);
  });
});

describe('up', () => {
  test('a process that does not start: the end of its log, and nothing is left running', async () => {
    await mkdir(join(dir, 'control-plane'));
    await writeFile(join(dir, 'control-plane', 'state.sqlite'), 'no database at all');
    const result = await canopy(['up', '--port', '0', '--dir', dir]);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^ {2}canopy: .* \(internal-error\)$/m);
    expect(result.stderr).toMatch(
      /^canopy: control-plane exited with code 1; its log is .*control-plane\.log \(unavailable\)$/m,
    );
  });

  test('a second Ctrl-C ends even what cannot be stopped', async () => {
    const up = await RunningUp.start(dir, '--edges', '1', '--mid-tiers', '0');
    kill(up.ready.edges[0], 'SIGSTOP');
    const ended = up.end('SIGINT');
    await up.says('once more to kill');
    // What comes at the same moment is taken for the same Ctrl-C, so a person's second is repeated.
    const again = setInterval(() => void up.end('SIGINT'), 50);
    expect(await ended).toBe(130);
    clearInterval(again);
    expect(up.places.filter(({ pid }) => isRunning(pid))).toEqual([]);
  });
});
