import type { MessagePort } from 'node:worker_threads';
import type { StoredFence } from './durable-fence.ts';
import type { SharedState } from './shared.ts';
import type { Change, Commit, FromKeeper, KeeperAnswer, ToKeeper } from './messages.ts';
import { Turns } from './turns.ts';

/** Between two messages that bring none but commits: each wakes the keeper's thread. */
const GATHER_MS = 2;
/** Commits of one message. */
const MOST_COMMITS = 64;

type Answer = Omit<KeeperAnswer, 'id'>;

/** One thread's way to the keeper. Whatever is asked once it has gone is refused. */
export class KeeperLink {
  readonly #port: MessagePort;
  readonly #asked = new Map<number, (answer: Answer) => void>();
  #commits: { readonly id: number; readonly commit: Commit }[] = [];
  readonly #turns = new Turns(GATHER_MS, () => this.#sendCommits());
  #nextId = 0;
  #closed = false;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', ({ answers }: FromKeeper) => {
      for (const { id, ...answer } of answers) {
        this.#asked.get(id)?.(answer);
        this.#asked.delete(id);
      }
      if (this.#asked.size === 0) port.unref();
    });
    port.once('close', () => {
      this.#closed = true;
      for (const answer of this.#asked.values()) answer({ ok: false });
      this.#asked.clear();
    });
    port.unref();
  }

  /** Asks for room for a file. @param opens it is for a new one */
  room(bytes: number, opens: boolean): Promise<boolean> {
    return this.#isOk((id) => this.#send({ type: 'room', id, bytes, opens }));
  }

  /** Resolves when the object can be found by every thread, or will not be. */
  commit(commit: Commit): Promise<boolean> {
    return this.#isOk((id) => {
      this.#commits.push({ id, commit });
      if (this.#commits.length >= MOST_COMMITS) this.#sendCommits();
      else this.#turns.later();
    });
  }

  /** Has it written down, after all that was said before. */
  change(change: Change): void {
    this.#send({ type: 'change', change });
  }

  /** Resolves when all changes of all threads are written down; with `false` if they never will be. */
  settled(): Promise<boolean> {
    return this.#isOk((id) => this.#send({ type: 'settle', id }));
  }

  /** What is known of the fence; `undefined`: the keeper has gone. */
  async recall(): Promise<StoredFence | undefined> {
    return (await this.#ask((id) => this.#send({ type: 'recall', id }))).fence;
  }

  /**
   * Resolves when the event, and all that any thread has purged before this is called, will be
   * heeded after a crash; as long as the disk fails, not at all.
   * @returns `false`: the keeper was closed before
   */
  async advance(shared: SharedState, sequence: number): Promise<boolean> {
    if (!(await this.settled())) return false;
    shared.order();
    this.change({ kind: 'advance', sequence });
    return this.settled();
  }

  release(bytes: number): void {
    this.#send({ type: 'release', bytes });
  }

  failed(code: string): void {
    this.#send({ type: 'failed', code });
  }

  close(): void {
    this.#sendCommits();
    this.#turns.close();
    this.#port.close();
  }

  async #isOk(send: (id: number) => void): Promise<boolean> {
    return (await this.#ask(send)).ok;
  }

  #ask(send: (id: number) => void): Promise<Answer> {
    if (this.#closed) return Promise.resolve({ ok: false });
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#asked.set(id, resolve);
      this.#port.ref();
      send(id);
    });
  }

  /** After all that was said before. */
  #send(message: ToKeeper): void {
    this.#sendCommits();
    if (!this.#closed) this.#port.postMessage(message);
  }

  /** @returns how many there were */
  #sendCommits(): number {
    const commits = this.#commits;
    if (commits.length === 0) return 0;
    this.#commits = [];
    const moved = commits.flatMap(({ commit: { body } }) =>
      body === undefined ? [] : [body.buffer],
    );
    if (!this.#closed) {
      this.#port.postMessage({ type: 'commits', commits } satisfies ToKeeper, moved);
    }
    return commits.length;
  }
}
