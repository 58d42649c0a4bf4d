import { expect, onTestFinished, test } from 'vitest';
import { openDiskStore } from '#origin/disk-store.ts';
import { Upkeep } from '#origin/upkeep.ts';
import { type Duration, FakeClock } from '#test/scenario/kit/clock.ts';
import { chunks, quiet, temporaryDir, uploadOf } from './support.ts';

test('each content is checked once in a week, and what nobody refers to is collected', async () => {
  const clock = new FakeClock();
  const store = await openDiskStore({ dir: await temporaryDir(), clock, log: quiet });
  const upkeep = new Upkeep({ store, clock, log: quiet, heal: async () => false });
  onTestFinished(async () => {
    await upkeep.close();
    await store.close();
  });
  await store.put('shop', '/a', uploadOf('abc'));
  await store.putContent('shop', { content: chunks('unused'), size: undefined });
  upkeep.start();
  /** Work that is done sets its next time only then, so time goes on in steps. */
  const becomes = async (value: () => number, expected: number, step: Duration): Promise<void> => {
    const next = (): number => {
      clock.advance(step);
      return value();
    };
    await expect.poll(next).toBe(expected);
  };
  await becomes(() => upkeep.checked, 2, '1s');
  expect(upkeep.checkedBytes).toBe(9);
  clock.advance('1d');
  expect(store.totals).toEqual({ objects: 1, bytes: 9 });
  await becomes(() => upkeep.collectedBytes, 6, '1h');
  expect(store.totals).toEqual({ objects: 1, bytes: 3 });
  expect(upkeep.checked).toBe(2);
  clock.advance('7d');
  await becomes(() => upkeep.checked, 3, '1m');
});
