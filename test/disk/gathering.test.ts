import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { once } from 'node:events';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Body } from '#core/cache/body.ts';
import { DiskStore } from '#core/cache/disk/disk-store.ts';
import type { ToKeeper } from '#core/cache/disk/messages.ts';
import { Turns } from '#core/cache/disk/turns.ts';
import { objectFor } from './content.ts';
import { openDisk } from './support.ts';

function gatherer() {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate'] });
  const passed: number[] = [];
  let waiting = 0;
  const turns = new Turns(5, () => {
    passed.push(waiting);
    const count = waiting;
    waiting = 0;
    return count;
  });
  const come = (how: 'soon' | 'later', count = 1): void => {
    waiting += count;
    for (let i = 0; i < count; i++) turns[how]();
  };
  return { turns, passed, come, passMs: (ms: number) => vi.advanceTimersByTime(ms) };
}

describe('what is passed on', () => {
  afterEach(() => void vi.useRealTimers());

  test('goes in the next turn while one comes after the other', () => {
    const { passed, come, passMs } = gatherer();
    for (let i = 0; i < 3; i++) {
      come('later');
      passMs(1);
    }
    expect(passed).toEqual([1, 1, 1]);
  });

  test('gathers where much comes, and no longer than it is said to', () => {
    const { passed, come, passMs } = gatherer();
    come('later', 2);
    passMs(1);
    come('later');
    passMs(3);
    come('later', 2);
    expect(passed).toEqual([2]);
    passMs(3);
    expect(passed).toEqual([2, 3]);
  });

  test('takes along what has gathered with what is urgent', () => {
    const { passed, come, passMs } = gatherer();
    come('later', 2);
    passMs(1);
    come('later');
    come('soon');
    passMs(1);
    expect(passed).toEqual([2, 2]);
    passMs(20);
    expect(passed).toEqual([2, 2]);
  });

  test('stays where it is once nothing is wanted any more', () => {
    const { turns, passed, come, passMs } = gatherer();
    come('later', 2);
    turns.close();
    passMs(20);
    expect(passed).toEqual([]);
  });
});

describe('to the keeper', () => {
  test('go objects that are put at once in one message, each with no more memory than its content', async () => {
    const disk = await openDisk();
    const { port1, port2 }: { port1: MessagePort; port2: MessagePort } = new MessageChannel();
    const store = new DiskStore(disk.keeper.place(2), port2);
    try {
      for (let i = 0; i < 3; i++) {
        // A piece of Node's pool, as small content mostly is.
        void store.put({ ...objectFor(`key ${i}`, 1), body: new Body([Buffer.from(`body ${i}`)]) });
      }
      const [message] = (await once(port1, 'message')) as [ToKeeper];
      const commits = message.type === 'commits' ? message.commits : [];
      const bodies = commits.map(({ commit }) => commit.body?.buffer);
      expect(bodies.map((body) => body && Buffer.from(body).toString())).toEqual([
        'body 0',
        'body 1',
        'body 2',
      ]);
    } finally {
      await store.close();
      port1.close();
      await disk.close();
    }
  });
});
