import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { eventually } from '#test/eventually.ts';
import { freePort } from '#test/upgrade/network.ts';
import { RunningUp } from './canopy.ts';

// The tutorial as somebody types it, on ports that are free here.

const CANOPY = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const PAGE = new URL('../../docs/tutorial.md', import.meta.url);

/** `…` stands for anything. */
const pattern = (shown: string): RegExp =>
  new RegExp(
    shown
      .split('…')
      .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('[^]*'),
  );

const run = promisify(execFile);
let root = '';
let up: RunningUp | undefined;
let serverPid = 0;
afterAll(async () => {
  if (serverPid > 0) process.kill(serverPid);
  await up?.end('SIGTERM');
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

test('every line of the tutorial does what the page shows', async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-tutorial-'));
  const port = await freePort();
  const text = await readFile(PAGE, 'utf8');
  const [, started = ''] = /```sh\nnpm ci\nnpm start -- (.*)\n```/.exec(text) ?? [];
  expect(started).toBe('--pull http://127.0.0.1:3000 --dir /tmp/canopy');
  const blocks = [...text.matchAll(/```console\n([^]*?)```/g)].map(([, block]) => block ?? '');
  let commands = 0;
  for (const [i, block] of blocks.entries()) {
    if (i === 1)
      up = await RunningUp.start(join(root, 'state'), '--pull', `http://127.0.0.1:${port}`);
    const [first = '', second = ''] = (up?.ready.edges ?? []).map(({ url }) => url);
    for (const step of block.split(/^\$ /m).slice(1)) {
      const [typed = '', ...shown] = step.trim().split('\n');
      const command = typed
        .replaceAll('http://127.0.0.1:8080', first)
        .replaceAll('http://127.0.0.1:8081', second)
        .replaceAll(' 3000 ', ` ${port} `)
        .replaceAll('/tmp/canopy', join(root, 'state'))
        .replace(/^canopy /, `${process.execPath} ${CANOPY} `)
        .replace(/ &$/, ' & echo $!');
      const { stdout } = await run('bash', ['-c', command], { cwd: root });
      expect(`$ ${typed}\n${stdout}`).toMatch(pattern(`$ ${typed}\n…${shown.join('\n')}`));
      if (typed.endsWith('&')) {
        serverPid = Number(stdout);
        await eventually(() => fetch(`http://127.0.0.1:${port}/hello.txt`));
      }
      commands += 1;
    }
  }
  expect(commands).toBeGreaterThan(7);
});
