import type { Clock } from '#core/clock.ts';
import type { JournalEvent } from '#core/contract/event.ts';
import type { Node } from '#core/contract/node.ts';
import { CanopyError } from '#core/errors.ts';
import type { Journal } from './journal/journal.ts';
import { digestOf, newSecret, sameDigest } from './secrets.ts';
import type { StoredRecord } from './state/records.ts';
import type { StateStore } from './state/store.ts';
import { hexOf } from './state/token.ts';

/** A node that is to come, or a credential that is to be renewed. Times in ms since the Unix epoch. */
export interface Enrolment {
  /** As it will be. */
  readonly node: Node;
  /** SHA-256 of the one-time token, in hexadecimal. */
  readonly digest: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** When the token was used, and for which credential, by its SHA-256; `null`: not yet. */
  readonly used: { readonly at: number; readonly digest: string } | null;
}

interface Options {
  readonly store: StateStore;
  readonly journal: Journal;
  readonly clock: Clock;
}

/** Nodes that get their credential for a one-time token: one for each name, the latest. */
export class Enrolments {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /** @returns the one-time token, which is nowhere kept */
  async open(node: Node, lifeMs: number): Promise<{ token: string; expiresAt: number }> {
    const { clock, store } = this.#options;
    const token = `${node.name}.${newSecret()}`;
    const createdAt = clock.now();
    const expiresAt = createdAt + lifeMs;
    const digest = hexOf(digestOf(token));
    const value: Enrolment = { node, digest, createdAt, expiresAt, used: null };
    await store.records.put({ kind: 'enrolment', id: node.name, value });
    return { token, expiresAt };
  }

  async list(limit: number, after?: string): Promise<readonly Enrolment[]> {
    const records = await this.#options.store.records.list('enrolment', { limit, after });
    return records.map(enrolmentIn);
  }

  /** @returns false if there is none */
  withdraw(name: string): Promise<boolean> {
    return this.#options.store.records.delete({ kind: 'enrolment', id: name });
  }

  /**
   * Takes a node's credential for its one-time token. The same node may ask again, in case the answer
   * was lost: with the same credential.
   * @param token its SHA-256
   * @param credential SHA-256 of what the node will prove itself by
   * @throws CanopyError `unauthenticated` if the token is not known, too old, or used for another credential
   */
  async exchange(
    name: string,
    token: Uint8Array,
    credential: Uint8Array,
  ): Promise<{ readonly node: Node; readonly events: readonly JournalEvent[] }> {
    const { clock, store } = this.#options;
    for (;;) {
      const record = await store.records.get({ kind: 'enrolment', id: name });
      const enrolment = record && enrolmentIn(record);
      if (enrolment === undefined || !sameDigest(Buffer.from(enrolment.digest, 'hex'), token)) {
        throw new CanopyError('unauthenticated', 'The enrolment token is not known');
      }
      const digest = hexOf(credential);
      requireUsable(enrolment, digest, clock.now());
      const used = enrolment.used ?? { at: clock.now(), digest };
      const value: Enrolment = { ...enrolment, used };
      // Of two at once one is second, and looks again.
      const isMine =
        enrolment.used !== null ||
        (await store.records.put({ kind: 'enrolment', id: name, value }, record?.revision)) !==
          undefined;
      if (isMine) return { node: enrolment.node, events: await this.#admit(enrolment, credential) };
    }
  }

  async #admit({ node }: Enrolment, digest: Uint8Array): Promise<readonly JournalEvent[]> {
    const { journal, store } = this.#options;
    if ((await store.credentialByDigest(digest))?.node === node.name) return [];
    const credential = { node: node.name, digest };
    return journal.change(() => ({
      entries: [{ type: 'node.put', node }],
      alongside: () => ({ credential }),
    }));
  }
}

function requireUsable({ used, expiresAt }: Enrolment, digest: string, now: number): void {
  if (used !== null && used.digest !== digest) {
    const at = new Date(used.at).toISOString();
    throw new CanopyError('unauthenticated', `The enrolment token was used already, at ${at}`);
  }
  if (used === null && expiresAt <= now) {
    const at = new Date(expiresAt).toISOString();
    throw new CanopyError('unauthenticated', `The enrolment token expired at ${at}`);
  }
}

// Written here.
const enrolmentIn = ({ value }: StoredRecord): Enrolment => value as Enrolment;
