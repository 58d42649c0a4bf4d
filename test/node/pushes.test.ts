import { describe, expect, onTestFinished, test } from 'vitest';
import type { PushAnswer, PushRequest, PushWork } from '#core/contract/push.ts';
import type { Placed, Placement } from '#core/node/placement.ts';
import { NodePushes } from '#core/node/pushes.ts';
import { sharedPace, takeFrom } from '#core/node/shared-pace.ts';
import { Samples } from '#core/telemetry/samples.ts';
import { silent } from '#test/control-plane/kit.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { until } from '#test/scenario/kit/until.ts';

const OK: Placed = { kind: 'placed', fetched: true, bytes: 10 };

/** A node's part, with the control plane and the placing in the test's hands. */
function node() {
  const clock = new FakeClock();
  const asked: { placement: Placement; settle: (placed: Placed) => void; signal: AbortSignal }[] =
    [];
  const posted: PushRequest[] = [];
  const work: (PushWork | Error)[] = [];
  let goesOn = true;
  const pushes = new NodePushes({
    clock,
    log: silent,
    place: (placement, _pace, signal) =>
      new Promise((resolve) => {
        asked.push({ placement, settle: resolve, signal });
      }),
    post: async (request): Promise<PushAnswer> => {
      posted.push(request);
      const next = request.idle ? work.shift() : undefined;
      if (next instanceof Error) throw next;
      return { goesOn, work: next ?? null };
    },
  });
  onTestFinished(async () => {
    const stopped = pushes.stop();
    for (const { settle } of asked) settle(OK);
    await stopped;
  });
  const give = (push: string, count: number, concurrency: number, from = 0): void => {
    const urls = Array.from({ length: count }, (_, i) => `http://one.example/${from + i}`);
    work.push({ push, from, urls, variants: [{ fields: {} }], concurrency, bytesPerSecond: null });
  };
  return {
    clock,
    asked,
    posted,
    work,
    pushes,
    give,
    endsElsewhere: () => (goesOn = false),
    /** What was asked for, by path. */
    paths: () => asked.map(({ placement }) => new URL(placement.url).pathname),
  };
}

const event = (id: string, change: 'ordered' | 'cancelled') =>
  ({ type: 'push', sequence: 9, at: 0, push: { id, change } }) as const;

describe('a node', () => {
  test('fetches so many at a time, and reports what came of all', async () => {
    const { asked, posted, pushes, give, paths } = node();
    give('p', 4, 2);
    pushes.start();
    await until(() => asked.length === 2);
    asked[1]?.settle({ kind: 'failed', reason: 'status-404', isTransient: false });
    await until(() => asked.length === 3);
    asked[0]?.settle({ kind: 'placed', fetched: false, bytes: 0 });
    await until(() => asked.length === 4);
    expect(paths()).toEqual(['/0', '/1', '/2', '/3']);
    asked[2]?.settle(OK);
    asked[3]?.settle({ kind: 'elsewhere' });
    await until(() => posted.length === 2);
    expect(posted[1]).toEqual({
      idle: true,
      report: {
        push: 'p',
        from: 0,
        through: 4,
        counts: { placed: 2, fetched: 1, elsewhere: 1, failed: 1, bytes: 10 },
        failures: [{ url: 'http://one.example/1', reason: 'status-404' }],
      },
    });
    const samples = new Samples();
    pushes.sample(samples);
    expect([...(samples.byMetric.get('canopy_push_objects_total')?.entries() ?? [])]).toHaveLength(
      4,
    );
  });

  test('tries again what may go better later, a little later', async () => {
    const { asked, posted, pushes, give, clock } = node();
    give('p', 1, 1);
    pushes.start();
    const busy: Placed = { kind: 'failed', reason: 'upstream-busy', isTransient: true };
    for (let tries = 1; tries <= 3; tries++) {
      await until(() => asked.length === tries);
      asked[tries - 1]?.settle(busy);
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance('5s');
    }
    await until(() => posted.some(({ idle, report }) => idle && report !== undefined));
    expect(posted.at(-1)?.report).toMatchObject({
      through: 1,
      counts: { failed: 1 },
      failures: [{ reason: 'upstream-busy' }],
    });
  });

  test('tells how far it is while it is at work, and stops where nobody wants that any more', async () => {
    const { asked, posted, pushes, give, clock, endsElsewhere } = node();
    give('p', 3, 1);
    pushes.start();
    await until(() => asked.length === 1);
    asked[0]?.settle(OK);
    await until(() => asked.length === 2);
    clock.advance('2s');
    await until(() => posted.length === 2);
    expect(posted[1]).toMatchObject({
      idle: false,
      report: { from: 0, through: 0, counts: { placed: 1 } },
    });
    endsElsewhere();
    await until(() => {
      clock.advance('100ms');
      return asked[1]?.signal.aborted === true;
    });
    asked[1]?.settle(OK);
    await until(() => posted.at(-1)?.idle === true);
    expect(posted.at(-1)).toEqual({ idle: true });
    expect(asked).toHaveLength(2);
  });

  test('hears of a push while it has nothing to do', async () => {
    const { asked, posted, pushes, give } = node();
    pushes.start();
    await until(() => posted.length === 1);
    give('p', 1, 1);
    pushes.heed({ type: 'node.delete', name: 'rome', sequence: 8, at: 0 });
    pushes.heed(event('p', 'ordered'));
    await until(() => asked.length === 1);
    expect(posted).toHaveLength(2);
  });

  test('leaves off for another push, and says how far it was', async () => {
    const { asked, posted, pushes, give, paths } = node();
    give('low', 4, 2);
    pushes.start();
    await until(() => asked.length === 2);
    give('high', 1, 1);
    pushes.heed(event('high', 'ordered'));
    for (const { settle } of asked) settle(OK);
    await until(() => asked.length === 3);
    expect(posted[1]?.report).toMatchObject({ push: 'low', from: 0, through: 2 });
    expect(paths()).toEqual(['/0', '/1', '/0']);
  });

  test('gives up a push that is cancelled, and reports nothing more of it', async () => {
    const { asked, posted, pushes, give } = node();
    give('p', 4, 2);
    pushes.start();
    await until(() => asked.length === 2);
    pushes.heed(event('other', 'cancelled'));
    expect(asked[0]?.signal.aborted).toBe(false);
    pushes.heed(event('p', 'cancelled'));
    expect(asked[0]?.signal.aborted).toBe(true);
    for (const { settle } of asked) settle(OK);
    await until(() => posted.length === 2);
    expect(posted[1]).toEqual({ idle: true });
    expect(asked).toHaveLength(2);
  });

  test('asks again when the control plane is back, with what it had to say', async () => {
    const { asked, posted, pushes, give, work, clock } = node();
    give('p', 1, 1);
    work.push(new Error('gone'));
    pushes.start();
    await until(() => asked.length === 1);
    asked[0]?.settle(OK);
    await until(() => posted.length === 2);
    await until(() => {
      clock.advance('100ms');
      return posted.length === 3;
    });
    expect(posted[2]).toEqual(posted[1]);
    expect(posted[2]?.report).toMatchObject({ push: 'p', through: 1 });
  });
});

test('a pace is one for all threads that take from it', () => {
  const clock = new FakeClock();
  const pace = sharedPace(1_000);
  const other = structuredClone({ bytesPerSecond: 1_000, memory: pace.memory });
  expect(takeFrom(pace, 100, clock)).toBe(100);
  expect(takeFrom(other, 100, clock)).toBe(200);
  clock.advance('150ms');
  expect(takeFrom(pace, 50, clock)).toBe(100);
  clock.advance('10s');
  expect(takeFrom(pace, 1, clock)).toBe(1);
});
