import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { contentFor, contentOf, objectFor, type Said } from './content.ts';
import { openDisk, recount } from './support.ts';

/** What may be stored of a key: nothing is 0. */
type Model = Map<string, { certain: number; possible: number | undefined }>;

/** What is known of a store from what the process said that wrote to it. */
function learn(model: Model, { step, what, key, version }: Said): void {
  const known = model.get(key) ?? { certain: 0, possible: undefined };
  const outcome = what === 'put' ? version : 0;
  if (step === 'begins') model.set(key, { ...known, possible: outcome });
  else model.set(key, { certain: step === 'done' ? outcome : known.certain, possible: undefined });
}

/** Runs the process for a while and kills it in whatever it does. @returns what it said */
async function runAndKill(dir: string, budgetBytes: number, version: number): Promise<Said[]> {
  const script = new URL('killed-process.ts', import.meta.url).pathname;
  const child: ChildProcess = spawn(
    process.execPath,
    [script, dir, String(budgetBytes), String(version)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const { stdout } = child;
  if (stdout === null) throw new Error('It has no output');
  const lines = createInterface({ input: stdout });
  const ended = once(child, 'exit');
  const said: Said[] = [];
  lines.on('line', (line) => said.push(JSON.parse(line) as Said));
  const closed = once(lines, 'close');
  await Promise.race([once(lines, 'line'), ended]);
  await sleep(Math.random() ** 2 * 500);
  child.kill('SIGKILL');
  expect(await ended).toEqual([null, 'SIGKILL']);
  await closed;
  return said;
}

/** Compares what is stored with what is known. @returns how many objects there are */
async function verify(dir: string, budgetBytes: number, model: Model, mayEvict: boolean) {
  const { keeper, store, stop, warnings } = await openDisk({ dir, budgetBytes });
  try {
    let found = 0;
    for (const [key, known] of model) {
      const [object] = store.lookup(key);
      const stored = object === undefined ? 0 : object.asOf;
      const allowed = [known.certain, known.possible, mayEvict ? 0 : undefined];
      expect(allowed).toContain(stored);
      model.set(key, { certain: stored, possible: undefined });
      if (object === undefined) continue;
      found++;
      const { body: _was, ...expected } = objectFor(key, stored);
      const { body, ...rest } = object;
      expect(rest).toEqual(expected);
      const content = await contentOf(body);
      expect({ key, whole: content.equals(contentFor(key, stored)) }).toEqual({ key, whole: true });
    }
    await keeper.swept;
    expect(store.stats()[0]?.evicted.damaged).toBe(0);
    expect(store.volume().bytes).toBeLessThanOrEqual(budgetBytes);
    expect(warnings).toEqual([]);
    return found;
  } finally {
    await stop();
  }
}

test.for([
  ['with room for all', 80, 1_000_000_000, false],
  ['while it makes room', 20, 4_000_000, true],
] as const)(
  'serves after a kill all that was committed and nothing else, %s',
  { timeout: 600_000 },
  async ([, kills, budgetBytes, mayEvict]) => {
    const dir = await mkdtemp(join(tmpdir(), 'canopy-kill-'));
    const model: Model = new Map();
    let version = 1;
    let steps = 0;
    let objects = 0;
    for (let kill = 0; kill < kills; kill++) {
      const said = await runAndKill(dir, budgetBytes, version);
      for (const one of said) learn(model, one);
      steps += said.length;
      version = Math.max(version, ...said.map((one) => one.version)) + 1000;
      objects = await verify(dir, budgetBytes, model, mayEvict);
      await recount(dir);
    }
    expect(steps).toBeGreaterThan(kills * 10);
    expect(objects).toBeGreaterThan(5);
    await rm(dir, { recursive: true });
  },
);
