import type { Draft, Records, StoredRecord } from '../state/records.ts';
import type { NodeProgress, PushRecord } from './record.ts';

/** URLs in one record. */
const CHUNK = 1_000;
const PAGE = 200;

/** A push's URLs as they are stored. */
export function urlDrafts(id: string, urls: readonly string[]): Draft[] {
  return Array.from({ length: Math.ceil(urls.length / CHUNK) }, (_, i) => ({
    kind: 'push-urls',
    id: chunkId(id, i),
    value: urls.slice(i * CHUNK, (i + 1) * CHUNK),
  }));
}

export const pushDraft = (push: PushRecord): Draft => ({ kind: 'push', id: push.id, value: push });

export const progressDraft = (id: string, node: string, progress: NodeProgress): Draft => ({
  kind: 'push-progress',
  id: `${id}/${node}`,
  value: progress,
});

const chunkId = (id: string, chunk: number): string => `${id}/${String(chunk).padStart(6, '0')}`;

/** What is kept of pushes: each itself, its URLs while it runs, and how far each node is. */
export class PushRecords {
  readonly #records: Records;

  constructor(records: Records) {
    this.#records = records;
  }

  async find(id: string): Promise<{ push: PushRecord; revision: number } | undefined> {
    const found = await this.#records.get({ kind: 'push', id });
    return found && { push: found.value as PushRecord, revision: found.revision };
  }

  /** Newest first. @param after begins behind that of this id */
  async latest(limit: number, after?: string): Promise<readonly PushRecord[]> {
    const found = await this.#records.list('push', { limit, after, descending: true });
    return found.map(({ value }) => value as PushRecord);
  }

  async running(): Promise<readonly PushRecord[]> {
    const found = await this.#all('push', '');
    return found
      .map(({ value }) => value as PushRecord)
      .filter((push) => push.status === 'running');
  }

  /** At most `limit` URLs from index `from` on. */
  async urls(id: string, from: number, limit: number): Promise<readonly string[]> {
    const name = { kind: 'push-urls', id: chunkId(id, Math.floor(from / CHUNK)) } as const;
    const found = await this.#records.get(name);
    const skipped = from % CHUNK;
    return ((found?.value ?? []) as string[]).slice(skipped, skipped + limit);
  }

  async progress(id: string): Promise<ReadonlyMap<string, NodeProgress>> {
    const found = await this.#all('push-progress', `${id}/`);
    return new Map(
      found.map((record) => [record.id.slice(id.length + 1), record.value as NodeProgress]),
    );
  }

  async progressOf(id: string, node: string): Promise<NodeProgress | undefined> {
    const found = await this.#records.get({ kind: 'push-progress', id: `${id}/${node}` });
    return found?.value as NodeProgress | undefined;
  }

  /** Changes a node's progress, unless `change` finds nothing to do. @returns what it is then */
  async changeProgress(
    id: string,
    node: string,
    change: (before: NodeProgress) => NodeProgress | undefined,
  ): Promise<NodeProgress | undefined> {
    for (;;) {
      const found = await this.#records.get({ kind: 'push-progress', id: `${id}/${node}` });
      if (found === undefined) return undefined;
      const after = change(found.value as NodeProgress);
      if (after === undefined) return found.value as NodeProgress;
      const put = await this.#records.put(progressDraft(id, node, after), found.revision);
      if (put !== undefined) return after;
    }
  }

  /** @returns false if it is not as of `revision` any more */
  async end(push: PushRecord, revision: number): Promise<boolean> {
    return (await this.#records.put(pushDraft(push), revision)) !== undefined;
  }

  /** Forgets what only a running push needs. */
  async tidy(id: string): Promise<void> {
    for (const kind of ['push-urls', 'push-progress'] as const) {
      for (const record of await this.#all(kind, `${id}/`)) await this.#records.delete(record);
    }
  }

  /** Forgets all but the last `keep`, and those that run. */
  async trim(keep: number): Promise<void> {
    const found = await this.#all('push', '');
    for (const { id, kind, value } of found.slice(0, -keep)) {
      if ((value as PushRecord).status !== 'running') await this.#records.delete({ kind, id });
    }
  }

  /** Those whose id begins with `prefix`. */
  async #all(kind: 'push' | 'push-urls' | 'push-progress', prefix: string) {
    const found: StoredRecord[] = [];
    for (let after = prefix; ;) {
      const page = await this.#records.list(kind, { limit: PAGE, after });
      const wanted = page.filter(({ id }) => id.startsWith(prefix));
      found.push(...wanted);
      after = page.at(-1)?.id ?? '';
      if (wanted.length < PAGE) return found;
    }
  }
}
