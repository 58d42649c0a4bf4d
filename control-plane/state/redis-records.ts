import type { Draft, Page, RecordKind, RecordName, Records, StoredRecord } from './records.ts';
import type { RedisConnection } from './redis-connection.ts';
import { DELETE_RECORD, keyOf, PUT_RECORD, TRIM_RECORDS } from './redis-scripts.ts';

/** Kinds hold no blanks, so the kind ends at the first. */
export const fieldOf = ({ kind, id }: RecordName): string => `${kind} ${id}`;

const firstOf = (kind: RecordKind): string => `[${kind} `;
/** `!` is the byte after the blank: nothing of a kind sorts behind it. */
const endOf = (kind: RecordKind): string => `(${kind}!`;

export class RedisRecords implements Records {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  async get(name: RecordName): Promise<StoredRecord | undefined> {
    const [record] = await this.#read([fieldOf(name)]);
    return record;
  }

  async list(
    kind: RecordKind,
    { limit, after, descending = false }: Page,
  ): Promise<readonly StoredRecord[]> {
    const start = after === undefined ? undefined : `(${fieldOf({ kind, id: after })}`;
    const key = keyOf('record_order');
    const fields = await this.#redis.send((client) =>
      descending
        ? client.zrevrangebylex(key, start ?? endOf(kind), firstOf(kind), 'LIMIT', 0, limit)
        : client.zrangebylex(key, start ?? firstOf(kind), endOf(kind), 'LIMIT', 0, limit),
    );
    return this.#read(fields);
  }

  async put(draft: Draft, ifRevision?: number): Promise<number | undefined> {
    const value = JSON.stringify(draft.value);
    const revision = await this.#redis.run(PUT_RECORD, fieldOf(draft), value, ifRevision ?? '');
    return revision === 0 ? undefined : Number(revision);
  }

  async delete(name: RecordName): Promise<boolean> {
    return (await this.#redis.run(DELETE_RECORD, fieldOf(name))) === 1;
  }

  async trim(kind: RecordKind, keep: number): Promise<void> {
    await this.#redis.run(TRIM_RECORDS, firstOf(kind), endOf(kind), keep);
  }

  async #read(fields: readonly string[]): Promise<readonly StoredRecord[]> {
    if (fields.length === 0) return [];
    const [values, revisions] = (await this.#redis.transaction([
      ['hmget', keyOf('records'), ...fields],
      ['hmget', keyOf('revisions'), ...fields],
    ])) as readonly (readonly (string | null)[])[];
    // Those that are there no longer are left out.
    return fields.flatMap((field, i) => {
      const value = values?.[i] ?? null;
      return value === null ? [] : [toRecord(field, value, revisions?.[i] ?? '1')];
    });
  }
}

export function toRecord(field: string, value: string, revision: string): StoredRecord {
  const blank = field.indexOf(' ');
  return {
    kind: field.slice(0, blank) as RecordKind,
    id: field.slice(blank + 1),
    revision: Number(revision),
    value: JSON.parse(value) as unknown,
  };
}
