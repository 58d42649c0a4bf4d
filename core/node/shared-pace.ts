import type { Clock } from '#core/clock.ts';

/** When the next byte may be taken, microseconds of `Clock.monotonicMs`. */
export type PaceMemory = BigInt64Array<SharedArrayBuffer>;

/** A rate, and how far it is used up, in memory that the process's threads share. */
export interface SharedPace {
  readonly bytesPerSecond: number;
  readonly memory: PaceMemory;
}

export const sharedPace = (bytesPerSecond: number): SharedPace => ({
  bytesPerSecond,
  memory: new BigInt64Array(new SharedArrayBuffer(8)),
});

/**
 * Takes `bytes` that have come (GCRA, as ATM Forum TM 4.1 §4.4.2 without burst).
 * @returns how long to wait before more may be taken, ms
 */
export function takeFrom(
  { bytesPerSecond, memory }: SharedPace,
  bytes: number,
  clock: Clock,
): number {
  const costUs = BigInt(Math.ceil((bytes / bytesPerSecond) * 1e6));
  for (;;) {
    const nowUs = BigInt(Math.round(clock.monotonicMs() * 1e3));
    const freeUs = Atomics.load(memory, 0);
    const nextUs = (freeUs > nowUs ? freeUs : nowUs) + costUs;
    if (Atomics.compareExchange(memory, 0, freeUs, nextUs) === freeUs) {
      return Number(nextUs - nowUs) / 1e3;
    }
  }
}
