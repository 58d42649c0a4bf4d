import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockDir } from '#cli/lock.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-lock-'));
});
afterEach(() => rm(dir, { recursive: true }));

test('a second holder is refused until the first releases', () => {
  const first = lockDir(dir, 'up.lock', 'Held');
  expect(() => lockDir(dir, 'up.lock', 'Held')).toThrow(/^Held; stop it, or choose another --dir/);
  first.release();
  lockDir(dir, 'up.lock', 'Held').release();
});

test('a holder that was killed leaves nothing behind', async () => {
  const script = join(dir, 'holder.mjs');
  const lock = new URL('../../cli/lock.ts', import.meta.url).href;
  await writeFile(
    script,
    `import { lockDir } from ${JSON.stringify(lock)};
     lockDir(process.argv[2], 'up.lock', 'Held');
     process.send('held');
     setInterval(() => {}, 1000);`,
  );
  const holder = fork(script, [dir]);
  await once(holder, 'message');
  expect(() => lockDir(dir, 'up.lock', 'Held')).toThrow('Held');
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  lockDir(dir, 'up.lock', 'Held').release();
});
