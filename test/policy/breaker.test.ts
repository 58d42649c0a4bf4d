import { describe, expect, test } from 'vitest';
import {
  answered,
  type Breaker,
  checked,
  completed,
  failed,
  offTrial,
  onTrial,
  share,
  standing,
  UNKNOWN,
} from '#core/tree/breaker.ts';
import { type Failure, onward } from '#core/tree/tries.ts';

const RANDOM = 0;
/** Half of it, as RANDOM has it. */
const FIRST_BACKOFF_MS = 250;

/** Fails one object after the other, each a moment after the last. */
const failing = (failure: Failure, ...objects: readonly string[]): Breaker =>
  objects.reduce(
    (breaker, object, index) => failed(breaker, failure, object, index, index, RANDOM),
    UNKNOWN,
  );

describe('what opens', () => {
  test.each<[Failure, readonly string[], 'closed' | 'open']>([
    ['refused', ['/a'], 'open'],
    ['reset', ['/a', '/b'], 'closed'],
    ['reset', ['/a', '/b', '/c'], 'open'],
    ['timeout', ['/a', '/b', '/c'], 'open'],
    ['invalid', ['/a', '/b', '/c'], 'open'],
    ['status', ['/a', '/b', '/c'], 'open'],
    // Nothing is marked down by one bad object.
    ['timeout', ['/a', '/a', '/a', '/a', '/b'], 'closed'],
    ['reset', ['/a', '/a', '/a', '/a', '/a'], 'closed'],
    // Not the parent's doing.
    ['busy', ['/a', '/b', '/c'], 'closed'],
    ['failed', ['/a', '/b', '/c'], 'closed'],
    ['down', ['/a', '/b', '/c'], 'closed'],
  ])('%s of %j: %s', (failure, objects, expected) => {
    expect(standing(failing(failure, ...objects), objects.length)).toBe(expected);
  });

  test('a whole answer in between starts the count anew', () => {
    const breaker = completed(failing('timeout', '/a', '/b'));
    expect(standing(failed(breaker, 'timeout', '/c', 3, 3, RANDOM), 3)).toBe('closed');
  });

  test('requests that began before tell nothing', () => {
    const open = failed(UNKNOWN, 'refused', '/a', 10, 20, RANDOM);
    expect(failed(open, 'refused', '/b', 15, 30, RANDOM)).toBe(open);
    expect(answered(open, 15, 30)).toBe(open);
  });
});

describe('the way back', () => {
  const open = failed(UNKNOWN, 'refused', '/a', 0, 0, RANDOM);

  test('open for the backoff, then one trial at a time', () => {
    expect(standing(open, FIRST_BACKOFF_MS - 1)).toBe('open');
    expect(standing(open, FIRST_BACKOFF_MS)).toBe('half-open');
    expect(standing(onTrial(open), FIRST_BACKOFF_MS)).toBe('open');
    expect(standing(offTrial(onTrial(open)), FIRST_BACKOFF_MS)).toBe('half-open');
  });

  test.each([
    [1, 250],
    [2, 500],
    [3, 1000],
    [5, 4000],
    [6, 7500],
    [20, 7500],
  ])('the opening number %i in a row lasts %i ms', (openings, backoffMs) => {
    let breaker = open;
    let now = 0;
    for (let i = 1; i < openings; i++) {
      now = breaker.openUntilMs ?? 0;
      breaker = failed(onTrial(breaker), 'timeout', '/a', now, now, RANDOM);
    }
    expect((breaker.openUntilMs ?? 0) - now).toBe(backoffMs);
  });

  test('jitter at most doubles it', () => {
    expect(failed(UNKNOWN, 'refused', '/a', 0, 0, 0.999).openUntilMs).toBeCloseTo(500, 0);
  });

  test('a parent that flaps is left alone for longer, until it has been calm', () => {
    const closed = answered(onTrial(open), 300, 400);
    expect(standing(closed, 400)).toBe('closed');
    const soon = failed(closed, 'refused', '/a', 1000, 1000, RANDOM);
    expect((soon.openUntilMs ?? 0) - 1000).toBe(500);
    const late = failed(closed, 'refused', '/a', 40_000, 40_000, RANDOM);
    expect((late.openUntilMs ?? 0) - 40_000).toBe(250);
  });

  test.each([
    [30_000, 0, 0.1],
    [30_000, 500, 0.1],
    [30_000, 5000, 0.5],
    [30_000, 10_000, 1],
    [30_000, 60_000, 1],
    // It had no time to get cold.
    [400, 0, 0.1],
    [400, 200, 0.5],
    [400, 400, 1],
    [0, 0, 1],
  ])(
    'away for %i ms, %i ms after its return it has %f of its share',
    (awayMs, afterMs, expected) => {
      const opened = answered(onTrial(open), 300, awayMs);
      expect(share(opened, awayMs + afterMs)).toBe(expected);
      const up = checked(checked(UNKNOWN, true, 0), false, awayMs);
      expect(share(up, awayMs + afterMs)).toBe(expected);
    },
  );

  test('away is counted from the first of several openings', () => {
    const longer = failed(onTrial(open), 'timeout', '/a', 250, 4000, RANDOM);
    const closed = answered(onTrial(longer), 4500, 5000);
    expect(share(closed, 5000 + 2500)).toBe(0.5);
  });

  test('one that never failed has all of it', () => expect(share(UNKNOWN, 0)).toBe(1));
});

describe('checks', () => {
  test('down until they say otherwise, whatever requests see', () => {
    const down = checked(UNKNOWN, true, 10);
    expect(standing(answered(down, 20, 30), 100_000)).toBe('open');
    expect(standing(checked(down, false, 40), 40)).toBe('closed');
  });

  test('up again ends what requests had opened', () => {
    const both = checked(failed(UNKNOWN, 'refused', '/a', 0, 0, RANDOM), true, 1);
    expect(standing(checked(both, false, 2), 2)).toBe('closed');
  });

  test('the same again changes nothing', () => expect(checked(UNKNOWN, false, 5)).toBe(UNKNOWN));
});

describe('whom to ask next', () => {
  test.each<[Failure, string | undefined, string]>([
    ['refused', undefined, 'anyone'],
    ['timeout', undefined, 'anyone'],
    ['status', undefined, 'anyone'],
    ['busy', undefined, 'peers'],
    ['failed', 'upstream-unreachable', 'origins'],
    ['failed', 'upstream-timeout', 'nobody'],
    ['failed', 'upstream-busy', 'nobody'],
    ['failed', 'unavailable', 'anyone'],
    ['failed', 'loop-detected', 'anyone'],
  ])('after %s %s: %s', (failure, code, expected) => {
    expect(onward(failure, code)).toBe(expected);
  });
});
