/** One benchmark: a file in `bench/` that is listed in `bench/run.ts`. */
export interface Benchmark {
  readonly name: string;
  /** What is compared with what, and how; Markdown. */
  readonly about: string;
  run(options: BenchOptions): Promise<readonly Result[]> | readonly Result[];
}

export interface BenchOptions {
  /** Share of the full amount of work, for trying out; 1 for figures that count. */
  readonly scale: number;
  /** Access logs to replay besides what is generated. */
  readonly traces: readonly string[];
  /** Rounds and seconds of each measurement; left out: the benchmark's own. */
  readonly rounds?: number | undefined;
  readonly seconds?: number | undefined;
  /** Parts of the benchmark to run, by words of their names; none: all. */
  readonly only?: readonly string[];
}

/** A table of what was found. */
export interface Result {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** How often each contender is measured: once where it is only tried out. */
export const roundsOf = (rounds: number, scale: number): number => (scale < 0.01 ? 1 : rounds);

/** Processor time that this process has used, ns: on a busy machine it tells more than the clock. */
export function cpuNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

/** Memory that is in use after a collection, bytes. */
export function usedBytes(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/**
 * Runs each contender once a round, a round after the other, so that what disturbs the machine
 * disturbs all of them. @returns what each measured, by contender and round
 */
export function interleaved<T>(
  contenders: readonly T[],
  rounds: number,
  measure: (contender: T) => number,
): ReadonlyMap<T, readonly number[]> {
  const measured = new Map<T, number[]>(contenders.map((contender) => [contender, []]));
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) measured.get(contender)?.push(measure(contender));
  }
  return measured;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2;
}
