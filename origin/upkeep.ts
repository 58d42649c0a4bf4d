import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import { messageOf } from '#core/errors.ts';
import type { Content, ObjectStore } from './object-store.ts';

/** How often what nobody needs is collected. */
const COLLECT_MS = 3_600_000;

/** How often each content is read and compared with its digest. */
const CHECK_EACH_MS = 7 * 86_400_000;
/** Between two contents; large ones take longer, by the rate. */
const CHECK_PAUSE_MS = 1_000;
const CHECK_BYTES_PER_SECOND = 8 * 1024 * 1024;
/** Until it is looked again whether there is one to check, and whether a damaged one can be healed. */
const IDLE_MS = 60_000;

export interface UpkeepOptions {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** Puts a content again, from wherever it is sound. @returns whether it could */
  readonly heal: (content: Content) => Promise<boolean>;
}

/** What a store needs done now and then: contents checked, damaged ones healed, unneeded ones freed. */
export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #cancels = new Map<() => Promise<number>, Cancel>();
  #closed = false;
  readonly #working = new Set<Promise<void>>();
  /** Contents read since the start. */
  checked = 0;
  checkedBytes = 0;
  healed = 0;
  collected = 0;
  collectedBytes = 0;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  start(): void {
    this.#later(CHECK_PAUSE_MS, this.#check);
    this.#later(CHECK_PAUSE_MS, this.#heal);
    this.#later(COLLECT_MS, this.#collect);
  }

  /** Looks at once for what can be healed. */
  healSoon(): void {
    // One that runs looks again by itself.
    const cancel = this.#cancels.get(this.#heal);
    if (cancel === undefined) return;
    cancel();
    this.#later(0, this.#heal);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const cancel of this.#cancels.values()) cancel();
    await Promise.all(this.#working);
  }

  /** @param work told how long to pause when it is done */
  #later(delayMs: number, work: () => Promise<number>): void {
    if (this.#closed) return;
    const cancel = this.#options.clock.after(delayMs, () => {
      this.#cancels.delete(work);
      const done = this.#run(work).finally(() => this.#working.delete(done));
      this.#working.add(done);
    });
    this.#cancels.set(work, cancel);
  }

  async #run(work: () => Promise<number>): Promise<void> {
    let pauseMs = IDLE_MS;
    try {
      pauseMs = await work();
    } catch (error) {
      this.#options.log.warn(`Upkeep of the content failed: ${messageOf(error)}`);
    }
    this.#later(pauseMs, work);
  }

  readonly #check = async (): Promise<number> => {
    const { store, clock } = this.#options;
    const checked = await store.checkNext(clock.now() - CHECK_EACH_MS);
    if (checked === undefined) return IDLE_MS;
    this.checked++;
    this.checkedBytes += checked.size;
    return CHECK_PAUSE_MS + (checked.size / CHECK_BYTES_PER_SECOND) * 1000;
  };

  readonly #heal = async (): Promise<number> => {
    const { store, heal, log } = this.#options;
    for (const content of store.damaged()) {
      if (this.#closed) break;
      if (!(await heal(content))) continue;
      this.healed++;
      log.info(`Content ${content.digest} of ${content.site} is healed`);
    }
    return IDLE_MS;
  };

  readonly #collect = async (): Promise<number> => {
    const { contents, bytes } = await this.#options.store.collect();
    this.collected += contents;
    this.collectedBytes += bytes;
    return COLLECT_MS;
  };
}
