import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openDiskStore } from '#origin/disk-store.ts';
import { bodyNames, quiet, temporaryDir, textOf, wallClock } from './support.ts';

const PUTTING = fileURLToPath(new URL('./putting-process.ts', import.meta.url));

/** Kills a process that puts objects, once it has stored `rounds` of them. @returns the last told, by path */
async function killWhilePutting(dir: string, rounds: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, [PUTTING, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const told = new Map<string, number>();
  const exited = once(child, 'exit');
  for await (const line of createInterface(child.stdout)) {
    const [path = '', round] = line.split(' ');
    told.set(path, Number(round));
    if (Number(round) === rounds) child.kill('SIGKILL');
  }
  await exited;
  return told;
}

test('kill -9 leaves each object as it was put last, whole, and nothing else', async () => {
  const dir = await temporaryDir();
  for (const rounds of [4, 9, 17, 30]) {
    const told = await killWhilePutting(dir, rounds);
    const store = await openDiskStore({ dir, clock: wallClock(), log: quiet });
    await store.swept;
    const objects = await store.list('shop', { prefix: '', after: '', limit: 10 });
    expect(objects.map(({ path }) => path)).toEqual(['/0', '/1', '/2']);
    for (const object of objects) {
      const text = await textOf(store, object);
      expect(text).toHaveLength(160_000);
      expect(
        `"${createHash('sha256')
          .update(text ?? '')
          .digest('hex')}"`,
      ).toBe(object.etag);
      // What was told to be stored is; the one under way may be, too.
      const round = Number(/^round (\d+) /.exec(text ?? '')?.[1]);
      expect(round).toBeGreaterThanOrEqual(told.get(object.path) ?? Infinity);
    }
    expect(await bodyNames(dir)).toHaveLength(objects.length);
    await store.close();
  }
});
