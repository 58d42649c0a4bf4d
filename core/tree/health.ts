import type { Cancel, Clock } from '#core/clock.ts';
import type { ParentReport } from '#core/contract/report.ts';
import {
  answered,
  type Breaker,
  checked,
  completed,
  failed,
  offTrial,
  onTrial,
  opened,
  share,
  type Standing,
  standing,
  UNKNOWN,
} from './breaker.ts';
import { Latency } from './latency.ts';
import type { Failure } from './tries.ts';

/** What a choice among parents goes by. */
export interface Condition {
  readonly standing: Standing;
  /** The part of its weight that it is given, in (0, 1]. */
  readonly share: number;
}

interface Record {
  breaker: Breaker;
  /** Until a header section, of answers. */
  readonly latency: Latency;
  /** Told when the parent is found to be down or to hang. */
  readonly waiting: Set<() => void>;
}

const WELL: Condition = { standing: 'closed', share: 1 };
/** Fewer samples say nothing of the slowest twentieth. */
const LEAST_SAMPLES = 20;

/** What this thread knows of its parents: from its own requests, and from the node's checks. */
export class ParentHealth {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #records = new Map<string, Record>();

  /** @param random in [0, 1), for jitter */
  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock;
    this.#random = random;
  }

  condition(name: string): Condition {
    const breaker = this.#records.get(name)?.breaker;
    if (breaker === undefined) return WELL;
    const now = this.#clock.monotonicMs();
    return { standing: standing(breaker, now), share: share(breaker, now) };
  }

  /** What it is known to have done, for those who want to know why it stands as it does. */
  breaker(name: string): Breaker {
    return this.#records.get(name)?.breaker ?? UNKNOWN;
  }

  /** A request begins; one to a parent that is half-open is its trial. @returns for when it has ended */
  begins(name: string): Cancel {
    const record = this.#record(name);
    if (standing(record.breaker, this.#clock.monotonicMs()) !== 'half-open') return () => undefined;
    const trial = onTrial(record.breaker);
    record.breaker = trial;
    return () => {
      if (record.breaker === trial) record.breaker = offTrial(trial);
    };
  }

  /** A header section has come. @param startedAtMs `Clock.monotonicMs` when the request began */
  answered(name: string, startedAtMs: number): void {
    const record = this.#record(name);
    const now = this.#clock.monotonicMs();
    record.latency.add(now - startedAtMs);
    record.breaker = answered(record.breaker, startedAtMs, now);
  }

  completed(name: string): void {
    const record = this.#records.get(name);
    if (record !== undefined) record.breaker = completed(record.breaker);
  }

  /** @param object the key of what was asked for */
  failed(name: string, failure: Failure, object: string, startedAtMs: number): void {
    const record = this.#record(name);
    const before = record.breaker;
    const now = this.#clock.monotonicMs();
    record.breaker = failed(before, failure, object, startedAtMs, now, this.#random());
    const hasOpened = record.breaker.openUntilMs !== before.openUntilMs;
    // What a parent refuses or breaks says nothing of requests that it has taken.
    if (hasOpened && failure === 'timeout') tell(record);
  }

  /** It lets requests wait, and does not even say whether it is well. */
  hangs(name: string): void {
    const record = this.#record(name);
    const now = this.#clock.monotonicMs();
    const { openUntilMs } = record.breaker;
    if (openUntilMs === undefined || now >= openUntilMs) {
      record.breaker = opened(record.breaker, now, this.#random());
    }
    tell(record);
  }

  /** The node's checks have these down, and no others. */
  checked(down: ReadonlySet<string>): void {
    for (const name of down) this.#record(name);
    for (const [name, record] of this.#records) {
      const isDown = down.has(name);
      const wasDown = record.breaker.isDown;
      record.breaker = checked(record.breaker, isDown, this.#clock.monotonicMs());
      if (isDown && !wasDown) tell(record);
    }
  }

  /** Calls back once, should the parent be found to be down or to hang. */
  onDown(name: string, callback: () => void): Cancel {
    const { waiting } = this.#record(name);
    waiting.add(callback);
    return () => void waiting.delete(callback);
  }

  /** What the fastest twentieth of its answers took to their header section; `undefined`: none has come. */
  fastestMs(name: string): number | undefined {
    const latency = this.#records.get(name)?.latency;
    return latency === undefined || latency.total === 0 ? undefined : latency.quantileMs(0.05);
  }

  /** What 95 of 100 answers took to their header section; `undefined` while too few have come. */
  p95Ms(name: string): number | undefined {
    const latency = this.#records.get(name)?.latency;
    if (latency === undefined || latency.total < LEAST_SAMPLES) return undefined;
    return latency.quantileMs(0.95);
  }

  /** Those that are not well. */
  report(): readonly ParentReport[] {
    const now = this.#clock.monotonicMs();
    return [...this.#records].flatMap(([name, { breaker }]) => {
      const stands = standing(breaker, now);
      return stands === 'closed' ? [] : [{ name, standing: stands }];
    });
  }

  /** Forgets parents that are no longer configured. */
  retain(isConfigured: (name: string) => boolean): void {
    for (const name of this.#records.keys()) if (!isConfigured(name)) this.#records.delete(name);
  }

  #record(name: string): Record {
    let record = this.#records.get(name);
    if (record === undefined) {
      record = { breaker: UNKNOWN, latency: new Latency(), waiting: new Set() };
      this.#records.set(name, record);
    }
    return record;
  }
}

function tell({ waiting }: Record): void {
  const told = [...waiting];
  waiting.clear();
  for (const callback of told) callback();
}
