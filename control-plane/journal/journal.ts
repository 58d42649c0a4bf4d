import { EventEmitter, once } from 'node:events';
import type { Clock } from '#core/clock.ts';
import type { Config, JournalEntry, JournalEvent } from '#core/contract/event.ts';
import { CanopyError } from '#core/errors.ts';
import { applyEvent } from '#core/node/config.ts';
import { newSecret } from '../secrets.ts';
import type { Alongside, StateStore } from '../state/store.ts';

const KEPT_EVENTS = 100_000;
const TRIM_EVERY = 1_000;

/** Events kept in memory, so that a thousand nodes told of one event cost no reading. */
const RECENT_EVENTS = 1_000;

/** What one change writes. */
export interface Change {
  /** None: nothing is to be done. */
  readonly entries: readonly JournalEntry[];
  /** What goes into the same transaction. */
  readonly alongside?: (events: readonly JournalEvent[]) => Alongside;
}

/** The totally ordered list of events, the configuration they add up to, and those who follow it. */
export class Journal {
  readonly #store: StateStore;
  readonly #clock: Clock;
  readonly #keptEvents: number;
  readonly #changes = new EventEmitter().setMaxListeners(0);
  #config: Config;
  #recent: JournalEvent[] = [];
  #lastChange: Promise<unknown> = Promise.resolve();

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
    const config = await store.config();
    if (config !== undefined) return new Journal(store, clock, keptEvents, config);
    const network = { tierKey: newSecret(), publishKey: newSecret() };
    const journal = new Journal(store, clock, keptEvents, {
      sequence: 0,
      network,
      sites: [],
      nodes: [],
      bans: [],
    });
    await journal.change(() => ({ entries: [{ type: 'network.put', network }] }));
    return journal;
  }

  /** The configuration as of the last event. */
  get config(): Config {
    return this.#config;
  }

  /**
   * Writes what `plan` makes of the configuration; changes run one after another, so that
   * nothing can come between the plan and its events.
   * @returns the events written, none if the plan had no entries
   */
  change(plan: (config: Config) => Change): Promise<readonly JournalEvent[]> {
    const change = this.#lastChange.then(() => this.#change(plan(this.#config)));
    this.#lastChange = change.catch(() => undefined);
    return change;
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

  async #change({ entries, alongside }: Change): Promise<readonly JournalEvent[]> {
    if (entries.length === 0) return [];
    const at = this.#clock.now();
    const last = this.#config.sequence;
    const events = entries.map((entry, i): JournalEvent => ({
      ...entry,
      sequence: last + 1 + i,
      at,
    }));
    if (!(await this.#store.append(events, alongside?.(events)))) {
      throw new CanopyError('unavailable', 'Another control plane has written to the journal');
    }
    this.#config = events.reduce(applyEvent, this.#config);
    this.#recent = [...this.#recent, ...events].slice(-RECENT_EVENTS);
    this.#changes.emit('change');
    if (Math.floor(last / TRIM_EVERY) < Math.floor(this.#config.sequence / TRIM_EVERY)) {
      await this.#store.trimJournal(this.#keptEvents);
    }
    return events;
  }
}
