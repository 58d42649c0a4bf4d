import { mkdir, readdir, readFile, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LastGoodConfig } from '#core/node/last-good.ts';
import type { LastGood } from '#core/node/reading.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { eventually, silent, temporaryDir } from '#test/control-plane/kit.ts';

const config = (sequence: number): LastGood => ({
  journal: 'j',
  sequence,
  network: { tierKey: 'a-key-of-16-chars' },
  sites: [],
  nodes: [],
  bans: [],
  certificates: [],
  withheld: [],
});

async function open() {
  const clock = new FakeClock();
  const dir = join(await temporaryDir(), 'node');
  return { clock, dir, lastGood: new LastGoodConfig({ dir, clock, log: silent }) };
}

test('LastGoodConfig reads back what was saved, readable by its owner only', async () => {
  const { dir, lastGood } = await open();
  expect(await lastGood.read()).toBeUndefined();
  lastGood.save(config(3));
  lastGood.save(config(4));
  await lastGood.flush();
  expect(await lastGood.read()).toEqual(config(4));
  expect((await stat(join(dir, 'config.json'))).mode & 0o777).toBe(0o600);
  expect(await readdir(dir)).toEqual(['config.json']);
});

test('LastGoodConfig writes a burst once, after a moment', async () => {
  const { clock, dir, lastGood } = await open();
  for (const sequence of [1, 2, 3]) lastGood.save(config(sequence));
  clock.advance('499ms');
  await expect(stat(dir)).rejects.toThrow('ENOENT');
  clock.advance('1ms');
  await eventually(async () => expect(await lastGood.read()).toEqual(config(3)));
});

test.for([
  ['cut', '{"sequence":3,"net'],
  ['of another shape', '{"sequence":3}'],
  ['empty', ''],
])('LastGoodConfig sets a file aside that is %s', async ([, text = '']) => {
  const { dir, lastGood } = await open();
  await mkdir(dir);
  await writeFile(join(dir, 'config.json'), text);
  expect(await lastGood.read()).toBeUndefined();
  expect(await readFile(join(dir, 'config.json.damaged'), 'utf8')).toBe(text);
  expect(await lastGood.read()).toBeUndefined();
});

test('LastGoodConfig that cannot write keeps the file it had, and tries again at the next save', async () => {
  const { dir, lastGood } = await open();
  lastGood.save(config(1));
  await lastGood.flush();
  // A directory in the place of the draft refuses the write whoever runs the test.
  const draft = join(dir, 'config.json.new');
  await mkdir(draft);
  lastGood.save(config(2));
  await lastGood.flush();
  expect(await lastGood.read()).toEqual(config(1));
  await rmdir(draft);
  lastGood.save(config(3));
  await lastGood.flush();
  expect(await lastGood.read()).toEqual(config(3));
});
