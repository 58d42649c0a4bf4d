import { CanopyError } from '#core/errors.ts';
import type { IndexChange } from './index-change.ts';
import type { ObjectIndex } from './object-index.ts';

/** Changes that are made at one moment. */
export interface LogRecord {
  /** Its place, one more than that of the record before it. */
  readonly sequence: number;
  readonly changes: readonly IndexChange[];
}

/** Where changes of the index are kept, for when the index is lost. */
export interface ChangeLog {
  /**
   * Durable once it resolves.
   * @throws Unsettled if the record may be there all the same; appending it again is harmless
   */
  append(record: LogRecord): Promise<void>;
  /** May copy the index, which stands still until this resolves. */
  checkpoint(index: ObjectIndex): Promise<void>;
}

/**
 * Makes changes in one transaction.
 * @returns the bodies that the index has ceased to refer to
 */
export function makeRecord(index: ObjectIndex, { sequence, changes }: LogRecord): string[] {
  return inTransaction(index, 'COMMIT', () => {
    index.sequence = sequence;
    return changes.flatMap((change) => index.apply(change) ?? []);
  });
}

/** The outcome of a change is not known; before the next one it will be. */
export class Unsettled extends CanopyError {}

/** Asks for a change, which is to be seen in the index at once. */
export type Ask = (change: IndexChange) => void;

interface Waiting {
  readonly decide: (ask: Ask) => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Changes an index, all that wait as one batch. With a log, a batch is tried out first, then
 * logged, then made, so that the index is never ahead of the log.
 */
export class Commits {
  readonly #index: ObjectIndex;
  readonly #log: ChangeLog | undefined;
  readonly #onFreed: (body: string) => void;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #unsettled: LogRecord | undefined;

  /** @param onFreed told each body that the index has ceased to refer to, durably */
  constructor(index: ObjectIndex, log: ChangeLog | undefined, onFreed: (body: string) => void) {
    this.#index = index;
    this.#log = log;
    this.#onFreed = onFreed;
  }

  /** Makes the changes that `decide` asks for at one moment and durably, or none if it throws. */
  commit<T>(decide: (ask: Ask) => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let value: T;
    this.#waiting.push({
      decide: (ask) => void (value = decide(ask)),
      resolve: () => resolve(value),
      reject,
    });
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return promise;
  }

  /** Whether a change that is not settled would make this body a content. */
  mayReferTo(body: string): boolean {
    const changes = this.#unsettled?.changes ?? [];
    return changes.some((change) => change.kind === 'content' && change.body === body);
  }

  /** Resolves once nothing waits. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // So that what is asked for at the same time is one batch.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#settle();
        const agreed = await this.#make(batch);
        for (const { resolve } of agreed) resolve();
        await this.#log?.checkpoint(this.#index);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
  }

  /** @returns those that did not throw; the others have been told */
  async #make(batch: readonly Waiting[]): Promise<readonly Waiting[]> {
    const changes: IndexChange[] = [];
    const freed: string[] = [];
    const agreed = inTransaction(this.#index, this.#log === undefined ? 'COMMIT' : 'ROLLBACK', () =>
      batch.filter((one) => this.#try(one, changes, freed)),
    );
    if (this.#log === undefined) {
      freed.forEach((body) => this.#onFreed(body));
    } else if (changes.length > 0) {
      this.#unsettled = { sequence: this.#index.sequence + 1, changes };
      await this.#settle();
    }
    return agreed;
  }

  #try({ decide, reject }: Waiting, changes: IndexChange[], freed: string[]): boolean {
    const asked: IndexChange[] = [];
    const bodies: string[] = [];
    this.#index.execute('SAVEPOINT one');
    try {
      decide((change) => {
        asked.push(change);
        bodies.push(...[this.#index.apply(change) ?? []].flat());
      });
      this.#index.execute('RELEASE one');
      changes.push(...asked);
      freed.push(...bodies);
      return true;
    } catch (error) {
      // SQLite has undone the whole transaction where it found no room.
      if (!this.#index.isInTransaction) throw error;
      this.#index.execute('ROLLBACK TO one; RELEASE one');
      reject(error);
      return false;
    }
  }

  async #settle(): Promise<void> {
    const record = this.#unsettled;
    if (record === undefined) return;
    try {
      await this.#log?.append(record);
    } catch (error) {
      if (!(error instanceof Unsettled)) this.#unsettled = undefined;
      throw error;
    }
    this.#unsettled = undefined;
    for (const body of makeRecord(this.#index, record)) this.#onFreed(body);
  }
}

function inTransaction<T>(index: ObjectIndex, end: 'COMMIT' | 'ROLLBACK', work: () => T): T {
  index.execute('BEGIN');
  try {
    const result = work();
    index.execute(end);
    return result;
  } catch (error) {
    if (index.isInTransaction) index.execute('ROLLBACK');
    throw error;
  }
}
