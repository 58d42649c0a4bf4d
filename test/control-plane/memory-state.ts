import type { Config, JournalEvent } from '#core/contract/event.ts';
import type {
  Alongside,
  NodeCredential,
  PurgeRecord,
  StateStore,
  TokenRecord,
} from '#control-plane/state/store.ts';
import { CanopyError } from '#core/errors.ts';
import { applyEvent } from '#core/node/config.ts';

/** A state that outlives the control planes of a test, and costs no disk. */
export class MemoryState implements StateStore {
  #config: Config | undefined;
  #events: JournalEvent[] = [];
  readonly #tokens = new Map<string, TokenRecord>();
  readonly #credentials = new Map<string, NodeCredential>();
  readonly #purges = new Map<string, PurgeRecord>();

  async config(): Promise<Config | undefined> {
    return this.#config;
  }

  async events(after: number, limit: number): Promise<readonly JournalEvent[] | undefined> {
    const rest = this.#events.filter(({ sequence }) => sequence > after);
    const first = rest[0]?.sequence ?? this.#sequence + 1;
    return first > after + 1 ? undefined : rest.slice(0, limit);
  }

  async append(
    events: readonly JournalEvent[],
    { credential, purge }: Alongside = {},
  ): Promise<boolean> {
    if (events[0]?.sequence !== this.#sequence + 1) return false;
    const key = purge?.request?.key;
    const isTaken =
      purge !== undefined &&
      (this.#purges.has(purge.id) || (key !== undefined && this.#byKey(key) !== undefined));
    if (isTaken) throw new CanopyError('internal-error', `There is a purge ${purge.id} already`);
    for (const event of events) this.#apply(event);
    if (credential !== undefined) this.#credentials.set(credential.node, credential);
    if (purge !== undefined) this.#purges.set(purge.id, purge);
    return true;
  }

  async trimJournal(keep: number): Promise<void> {
    const last = this.#sequence - keep;
    this.#events = this.#events.filter(({ sequence }) => sequence > last);
    const completed = await this.completedFence();
    for (const purge of this.#purges.values()) {
      const sequence = sequenceOf(purge);
      if (purge.status === 'complete' && sequence <= last && sequence < completed) {
        this.#purges.delete(purge.id);
      }
    }
  }

  async tokens(): Promise<readonly TokenRecord[]> {
    return [...this.#tokens.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }
  async addToken(token: TokenRecord): Promise<boolean> {
    if (this.#tokens.has(token.name)) return false;
    this.#tokens.set(token.name, token);
    return true;
  }
  async deleteToken(name: string): Promise<boolean> {
    return this.#tokens.delete(name);
  }
  async tokenByDigest(digest: Uint8Array): Promise<TokenRecord | undefined> {
    return [...this.#tokens.values()].find((token) => same(token.digest, digest));
  }
  async credentialByDigest(digest: Uint8Array): Promise<NodeCredential | undefined> {
    return [...this.#credentials.values()].find((one) => same(one.digest, digest));
  }

  async purge(id: string): Promise<PurgeRecord | undefined> {
    return this.#purges.get(id);
  }
  async purgeByKey(key: string): Promise<PurgeRecord | undefined> {
    return this.#byKey(key);
  }
  async purges(limit: number, before = Infinity): Promise<readonly PurgeRecord[]> {
    const all = [...this.#purges.values()].filter((purge) => sequenceOf(purge) < before);
    return all.toSorted((a, b) => sequenceOf(b) - sequenceOf(a)).slice(0, limit);
  }
  async pendingPurges(): Promise<readonly PurgeRecord[]> {
    const pending = [...this.#purges.values()].filter(({ status }) => status === 'pending');
    return pending.toSorted((a, b) => sequenceOf(a) - sequenceOf(b));
  }
  async completedFence(): Promise<number> {
    const completed = [...this.#purges.values()].filter(({ status }) => status === 'complete');
    return Math.max(0, ...completed.map(sequenceOf));
  }
  async updatePurge(purge: PurgeRecord): Promise<void> {
    this.#purges.set(purge.id, purge);
  }

  async close(): Promise<void> {
    // What it holds stays for the next.
  }

  get #sequence(): number {
    return this.#config?.sequence ?? 0;
  }

  #byKey(key: string): PurgeRecord | undefined {
    return [...this.#purges.values()].find(({ request }) => request?.key === key);
  }

  #apply(event: JournalEvent): void {
    if (this.#config === undefined) {
      if (event.type !== 'network.put') throw new Error('The first event is a network.put');
      const { network } = event;
      this.#config = { sequence: 0, network, sites: [], nodes: [], bans: [] };
    }
    if (event.type === 'node.delete') this.#credentials.delete(event.name);
    this.#config = applyEvent(this.#config, event);
    this.#events.push(event);
  }
}

const sequenceOf = ({ sequences }: PurgeRecord): number => Math.max(...sequences);

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
