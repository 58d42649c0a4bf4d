import type { Config, JournalEvent } from '#core/contract/event.ts';
import type { Tier } from '#core/contract/node.ts';
import type { PurgeMode, PurgeTarget } from '#core/contract/purge.ts';
import type { Draft, Records, StoredRecord } from './records.ts';
import type { Standings } from './standings.ts';
import type { TokenRecord } from './token.ts';

export interface NodeCredential {
  readonly node: string;
  /** SHA-256 of the secret, which itself is never stored. */
  readonly digest: Uint8Array;
}

/** How one node stands to one purge. */
export interface NodeProgress {
  readonly node: string;
  readonly tier: Tier;
  /** lease-ended: it can no longer serve without revalidation, so nobody waits for it. */
  readonly status: 'acknowledged' | 'pending' | 'lease-ended';
  /** Of all its reports on this purge; 0 until it has reported, `null` where it does not count them. */
  readonly objects: number | null;
  readonly bytes: number | null;
  readonly fills: number;
  /** From the purge's creation until it was settled for this node; `null` while pending. */
  readonly tookMs: number | null;
}

/** A purge as the API shows it, but for `request`. */
export interface PurgeRecord {
  readonly id: string;
  readonly mode: PurgeMode;
  /** The name of the token that ordered it. */
  readonly by: string;
  /** Why, in the words of who ordered it. */
  readonly reason?: string;
  /** `sequences[i]` is the journal event of `targets[i]`. */
  readonly targets: readonly PurgeTarget[];
  readonly sequences: readonly number[];
  readonly status: 'pending' | 'complete';
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  readonly completedAt?: number;
  readonly nodes: readonly NodeProgress[];
  readonly request?: IdentifiedRequest;
  /** The release that its site switches to with it. */
  readonly release?: string;
}

/** A request that may be sent again without doing its work twice. */
export interface IdentifiedRequest {
  /** Names it among the requests of everybody; unique among purges. */
  readonly key: string;
  /** Of what it asked for: a request of the same key that asks for something else is another. */
  readonly digest: string;
}

/** What is written in the same transaction as a journal event. */
export interface Alongside {
  /** Of a node that the events put; replaces the one it had. */
  readonly credential?: NodeCredential;
  /** The purge that the events order. */
  readonly purge?: PurgeRecord;
  /** Each replaces the one of its name. */
  readonly records?: readonly Draft[];
}

/** Where a journal stands. */
export interface JournalHead {
  /** Random, made with the journal, and made anew where its history is not what it was. */
  readonly journal: string;
  readonly sequence: number;
}

/** All that a state holds but the journal's events, as of one moment. */
export interface StateContent {
  readonly config: Config;
  readonly credentials: readonly NodeCredential[];
  readonly tokens: readonly TokenRecord[];
  /** Oldest first. */
  readonly purges: readonly PurgeRecord[];
  /** By kind and id. */
  readonly records: readonly StoredRecord[];
}

/** Who wants to know what other control planes do to the state. */
export interface StateWatcher {
  /** Something may have changed. Called once for what changes until it resolves, and every few seconds. */
  changed(): Promise<void>;
  /** What a control plane on this state, perhaps this one, told with `tell`. */
  told(message: string): void;
  /** The connection was lost and is back, perhaps to another server: what was written last may be lost. */
  reconnected(): void;
}

/**
 * What the control plane remembers. Every method rejects with a CanopyError: `insufficient-storage` when
 * there is no room, `unavailable` when the state cannot be reached, `internal-error` otherwise. A method
 * that rejects has changed nothing, except that with `unavailable` it may have.
 */
export interface StateStore {
  readonly standings: Standings;
  readonly records: Records;

  /** `undefined` while the journal is empty. */
  head(): Promise<JournalHead | undefined>;
  /** The configuration as of the journal's last event; `undefined` while the journal is empty. */
  config(): Promise<Config | undefined>;
  /** At most `limit` events after sequence `after`, oldest first; `undefined` if the journal no longer reaches back so far. */
  events(after: number, limit: number): Promise<readonly JournalEvent[] | undefined>;
  /**
   * Writes events and what they change in one transaction: all or nothing.
   * @param events consecutive, the first following the journal's last; the first of all is a `network.put`
   * @returns false, and nothing is written, if another writer came first
   */
  append(events: readonly JournalEvent[], alongside?: Alongside): Promise<boolean>;
  /**
   * Makes the journal a new one that goes on from `sequence`, with no event before it.
   * @param before does nothing if the journal is no longer this one
   */
  renewJournal(before: string, head: JournalHead): Promise<void>;
  /** Forgets all but the last `keep` events and the purges completed before them; the configuration stays. */
  trimJournal(keep: number): Promise<void>;

  tokens(): Promise<readonly TokenRecord[]>;
  /** @returns false if there is one of this name already */
  addToken(token: TokenRecord): Promise<boolean>;
  /** Replaces the token of this name. @returns false if it has no longer the digest `ifDigest` */
  replaceToken(token: TokenRecord, ifDigest: Uint8Array): Promise<boolean>;
  /** @returns false if there is none, or none with the digest `ifDigest` */
  deleteToken(name: string, ifDigest?: Uint8Array): Promise<boolean>;
  /** By the digest of its secret, or of the one before. */
  tokenByDigest(digest: Uint8Array): Promise<TokenRecord | undefined>;
  credentialByDigest(digest: Uint8Array): Promise<NodeCredential | undefined>;

  purge(id: string): Promise<PurgeRecord | undefined>;
  /** The purge of which `request.key` is this. */
  purgeByKey(key: string): Promise<PurgeRecord | undefined>;
  /** The latest `limit` of those whose last sequence is before `before`, newest first. */
  purges(limit: number, before?: number): Promise<readonly PurgeRecord[]>;
  pendingPurges(): Promise<readonly PurgeRecord[]>;
  /** Replaces the progress of a purge that `append` has written. */
  updatePurge(purge: PurgeRecord): Promise<void>;

  /** `undefined` while the journal is empty. */
  content(): Promise<StateContent | undefined>;
  /** Puts `content` in the place of all there is, in one step. */
  replace(content: StateContent): Promise<void>;

  watch(watcher: StateWatcher): void;
  /** Tells all control planes that watch this state something now. It is kept nowhere: who is away misses it. */
  tell(message: string): Promise<void>;
  close(): Promise<void>;
}
