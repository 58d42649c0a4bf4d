import type { Cancel, Clock } from '#core/clock.ts';
import { Agents } from './agents.ts';
import type { ParentHealth } from './health.ts';
import { HEALTH_TARGET } from './health-target.ts';
import { answersWell } from './answers-well.ts';
import type { Parent } from './parents.ts';

/** With requests waiting for it, a node that has sent nothing for so long is asked whether it is well. */
const SILENCE_MS = 300;
/** What it may take to say so, besides the way there and back. */
const PROBE_MS = 250;
/** To connect and to ask, with some to spare, in the time of its fastest answers. */
const ROUND_TRIPS = 3;
/** Where none has come yet. */
const UNKNOWN_TRIP_MS = 80;
/** One that lives is not asked again so soon. */
const AGAIN_MS = 1000;
/** A timer that fires later than this has stood behind other work of ours. */
const LATE_MS = 100;

/** One wait for something from a parent. */
export interface Watch {
  /** Begins. @returns for when it is over */
  waits(): Cancel;
  /** Something has come. */
  heard(): void;
}

interface Watched {
  readonly parent: Parent;
  /** Requests and transfers that wait for it. */
  waiting: number;
  /** `Clock.monotonicMs`; or when the first of them began to wait. */
  heardAtMs: number;
  cancel: Cancel;
}

/**
 * Tells nodes that are slow from nodes that hang. To whoever waits both look the same; but a node that
 * waits for a slow origin says at once that it is well. So the one that lets requests wait and sends
 * nothing to anybody is asked that, on a connection of its own, and left only if it does not answer:
 * another is then asked in its place, within about half a second, while an origin that is slow gets
 * no second request.
 */
export class Probes {
  readonly #clock: Clock;
  readonly #health: ParentHealth;
  // A kept connection may be one of those that hang.
  readonly #agents = new Agents({ keepsConnections: false });
  readonly #watched = new Map<string, Watched>();

  constructor(clock: Clock, health: ParentHealth) {
    this.#clock = clock;
    this.#health = health;
  }

  /** Of a customer's server nothing is known that it would answer at once. */
  of(parent: Parent): Watch | undefined {
    if (parent.tier === 'customer') return undefined;
    return {
      waits: () => this.#wait(parent),
      heard: () => {
        const watched = this.#watched.get(parent.name);
        if (watched !== undefined) watched.heardAtMs = this.#clock.monotonicMs();
      },
    };
  }

  close(): Promise<void> {
    for (const { cancel } of this.#watched.values()) cancel();
    this.#watched.clear();
    return this.#agents.close();
  }

  #wait(parent: Parent): Cancel {
    const watched = this.#watched.get(parent.name) ?? this.#begin(parent);
    watched.waiting++;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      if (--watched.waiting > 0) return;
      watched.cancel();
      if (this.#watched.get(parent.name) === watched) this.#watched.delete(parent.name);
    };
  }

  #begin(parent: Parent): Watched {
    const heardAtMs = this.#clock.monotonicMs();
    const watched = { parent, waiting: 0, heardAtMs, cancel: () => undefined };
    this.#watched.set(parent.name, watched);
    this.#schedule(watched, SILENCE_MS);
    return watched;
  }

  #schedule(watched: Watched, afterMs: number): void {
    const dueAtMs = this.#clock.monotonicMs() + afterMs;
    watched.cancel = this.#clock.after(afterMs, () => {
      // Then the silence may be that of this process, which has not read what has come.
      const isLate = this.#clock.monotonicMs() - dueAtMs > LATE_MS;
      if (isLate) this.#schedule(watched, SILENCE_MS);
      else void this.#check(watched);
    });
  }

  async #check(watched: Watched): Promise<void> {
    const { parent } = watched;
    const askedAtMs = this.#clock.monotonicMs();
    const leftMs = SILENCE_MS - (askedAtMs - watched.heardAtMs);
    if (leftMs > 0) {
      this.#schedule(watched, leftMs);
      return;
    }
    const lives = await this.#isWell(parent);
    if (this.#watched.get(parent.name) !== watched) return;
    this.#schedule(watched, AGAIN_MS);
    if (!lives && watched.heardAtMs < askedAtMs) this.#health.hangs(parent.name);
  }

  #isWell({ name, url }: Parent): Promise<boolean> {
    const timeoutMs = PROBE_MS + ROUND_TRIPS * (this.#health.fastestMs(name) ?? UNKNOWN_TRIP_MS);
    const fields = ['Host', new URL(url).host, 'User-Agent', 'Canopy'];
    const agent = this.#agents.of(undefined, timeoutMs);
    const question = { url, path: HEALTH_TARGET, fields, status: [200], timeoutMs };
    return answersWell(this.#clock, agent, question);
  }
}
