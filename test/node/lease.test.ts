import { expect, test } from 'vitest';
import { NodeLease } from '#core/node/lease.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';

test('NodeLease counts from when the heartbeat was sent, and ends a tenth early', () => {
  const clock = new FakeClock();
  const lease = new NodeLease(clock);
  expect(lease.ended()).toBe(true);
  const sentAt = clock.monotonicMs();
  clock.advance('3s');
  lease.granted(sentAt, 10_000);
  clock.advance('5999ms');
  expect(lease.ended()).toBe(false);
  clock.advance('1ms');
  expect(lease.ended()).toBe(true);
});

test('NodeLease is not shortened by an answer that was overtaken', () => {
  const clock = new FakeClock();
  const lease = new NodeLease(clock);
  lease.granted(5_000, 10_000);
  lease.granted(0, 10_000);
  expect(lease.endsAtMonotonicMs).toBe(14_000);
});
