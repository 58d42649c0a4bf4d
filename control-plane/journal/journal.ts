import { EventEmitter, once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#core/clock.ts';
import type { Config, JournalEntry, JournalEvent } from '#core/contract/event.ts';
import { CanopyError } from '#core/errors.ts';
import { applyEvent } from '#core/node/config.ts';
import { newHead } from './head.ts';
import { newSecret } from '../secrets.ts';
import type { Alongside, JournalHead, StateStore } from '../state/store.ts';

const KEPT_EVENTS = 100_000;
const TRIM_EVERY = 1_000;

/** Events kept in memory, so that a thousand nodes told of one event cost no reading. */
const RECENT_EVENTS = 1_000;

/** How often a change is planned anew because another control plane came first. */
const ATTEMPTS = 100;

/** What one change writes. */
export interface Change {
  /** None: nothing is to be done. */
  readonly entries: readonly JournalEntry[];
  /** What goes into the same transaction. */
  readonly alongside?: (events: readonly JournalEvent[]) => Alongside;
}

/** @param events `undefined`: everything may be different, and nodes cannot go on from where they are */
export type ChangeListener = (events: readonly JournalEvent[] | undefined) => void;

/** The totally ordered list of events, the configuration they add up to, and those who follow it. */
export class Journal {
  readonly #store: StateStore;
  readonly #clock: Clock;
  readonly #keptEvents: number;
  readonly #changes = new EventEmitter<{ change: Parameters<ChangeListener> }>().setMaxListeners(0);
  #config: Config;
  #recent: JournalEvent[] = [];
  #last: Promise<unknown> = Promise.resolve();

  private constructor(store: StateStore, clock: Clock, keptEvents: number, config: Config) {
    this.#store = store;
    this.#clock = clock;
    this.#keptEvents = keptEvents;
    this.#config = config;
  }

  /**
   * The journal in `store`; an empty one is begun with fresh keys of the network.
   * @param keptEvents how many nodes can catch up with; a node further behind takes a snapshot
   */
  static async open(store: StateStore, clock: Clock, keptEvents = KEPT_EVENTS): Promise<Journal> {
    if ((await store.config()) === undefined) {
      const network = { tierKey: newSecret(), publishKey: newSecret() };
      // If another control plane is faster, its keys count.
      await store.append([{ sequence: 1, at: clock.now(), type: 'network.put', network }]);
    }
    return new Journal(store, clock, keptEvents, await configIn(store));
  }

  /** The configuration as of the last event. */
  get config(): Config {
    return this.#config;
  }

  /**
   * Writes what `plan` makes of the configuration; changes run one after another, so that
   * nothing can come between the plan and its events.
   * @param plan called anew when another control plane has written first
   * @returns the events written, none if the plan had no entries
   */
  change(plan: (config: Config) => Change | Promise<Change>): Promise<readonly JournalEvent[]> {
    return this.#inTurn(async () => {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const events = await this.#write(await this.#planned(plan));
        if (events !== undefined) return events;
        await this.#catchUp();
      }
      throw new CanopyError(
        'unavailable',
        'Other control planes write too much to come in between',
      );
    });
  }

  /** Takes over what other control planes have written. */
  catchUp(): Promise<void> {
    return this.#inTurn(() => this.#catchUp());
  }

  /**
   * After a lost connection: makes sure that the state still has the last event that was here. If not,
   * nodes may know what nobody else remembers, so the journal gets a new identity.
   */
  verify(): Promise<void> {
    return this.#inTurn(async () => {
      const last = this.#recent.at(-1);
      const [kept] =
        last === undefined ? [] : ((await this.#store.events(last.sequence - 1, 1)) ?? []);
      // As it is after it was written.
      const expected: unknown = last && JSON.parse(JSON.stringify(last));
      if (!isDeepStrictEqual(kept, expected)) await this.#renew();
      await this.#catchUp();
    });
  }

  /** Calls `listener` after every change, whoever made it. */
  onChange(listener: ChangeListener): void {
    this.#changes.on('change', listener);
  }

  /** At most `limit` events after sequence `after`; `undefined` if the journal no longer reaches back so far. */
  async events(after: number, limit: number): Promise<readonly JournalEvent[] | undefined> {
    const first = this.#recent[0]?.sequence ?? this.#config.sequence + 1;
    if (after + 1 < first) return this.#store.events(after, limit);
    const skipped = after + 1 - first;
    return this.#recent.slice(skipped, skipped + limit);
  }

  /** Resolves once there are events after sequence `after`; rejects when `signal` is aborted. */
  async moved(after: number, signal: AbortSignal): Promise<void> {
    while (this.#config.sequence <= after) await once(this.#changes, 'change', { signal });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** What is refused may be known to another control plane by now: it has just told somebody so. */
  async #planned(plan: (config: Config) => Change | Promise<Change>): Promise<Change> {
    const before = this.#config;
    try {
      return await plan(before);
    } catch (error) {
      await this.#catchUp();
      if (this.#config === before) throw error;
      return plan(this.#config);
    }
  }

  /** @returns `undefined` if another control plane came first */
  async #write({ entries, alongside }: Change): Promise<readonly JournalEvent[] | undefined> {
    if (entries.length === 0) return [];
    const at = this.#clock.now();
    const last = this.#config.sequence;
    const events = entries.map((entry, i): JournalEvent => ({
      ...entry,
      sequence: last + 1 + i,
      at,
    }));
    if (!(await this.#store.append(events, alongside?.(events)))) return undefined;
    this.#take(events);
    if (Math.floor(last / TRIM_EVERY) < Math.floor(this.#config.sequence / TRIM_EVERY)) {
      await this.#store.trimJournal(this.#keptEvents);
    }
    return events;
  }

  async #catchUp(): Promise<void> {
    const head = await this.#store.head();
    if (head !== undefined && head.journal === this.#config.journal) {
      // A state that has lost events counts from where it is.
      if (head.sequence < this.#config.sequence) await this.#renew();
      else if (await this.#readUpTo(head)) return;
    }
    await this.#reload();
  }

  /** @returns false if there are events that can no longer be read */
  async #readUpTo({ sequence }: JournalHead): Promise<boolean> {
    while (this.#config.sequence < sequence) {
      const events = await this.#store.events(this.#config.sequence, RECENT_EVENTS);
      if (events === undefined || events.length === 0) return false;
      this.#take(events);
    }
    return true;
  }

  async #renew(): Promise<void> {
    const { journal, sequence } = this.#config;
    await this.#store.renewJournal(journal, newHead(sequence, this.#clock.now()));
  }

  async #reload(): Promise<void> {
    this.#config = await configIn(this.#store);
    this.#recent = [];
    this.#changes.emit('change', undefined);
  }

  #take(events: readonly JournalEvent[]): void {
    this.#config = events.reduce(applyEvent, this.#config);
    this.#recent = [...this.#recent, ...events].slice(-RECENT_EVENTS);
    this.#changes.emit('change', events);
  }
}

async function configIn(store: StateStore): Promise<Config> {
  const config = await store.config();
  if (config !== undefined) return config;
  throw new CanopyError('internal-error', 'The state is empty, though it was not before');
}
