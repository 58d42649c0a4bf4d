import { type DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { CanopyError, messageOf } from '#core/errors.ts';

export type Parameter = string | number | Uint8Array | null;
export type Row = Record<string, SQLOutputValue>;

/** SQLite's primary result codes (sqlite.org/rescode.html) that mean something of their own here. */
export const BUSY = 5;
const FULL = 13;

/** An open database: statements are prepared once, and fail with a CanopyError as `StateStore` says. */
export class SqliteDatabase {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  get(sql: string, ...values: Parameter[]): Row | undefined {
    return translated(() => this.#prepare(sql).get(...values));
  }

  all(sql: string, ...values: Parameter[]): Row[] {
    return translated(() => this.#prepare(sql).all(...values));
  }

  /** @returns how many rows changed */
  run(sql: string, ...values: Parameter[]): number {
    return translated(() => Number(this.#prepare(sql).run(...values).changes));
  }

  /** As `run`, without waiting for the disk: a crash of the machine may undo it, nothing else. */
  runUnsynced(sql: string, ...values: Parameter[]): number {
    // Heeded when it is prepared, so not as a statement that is prepared once.
    this.#database.exec('PRAGMA synchronous = NORMAL');
    try {
      return this.run(sql, ...values);
    } finally {
      this.#database.exec('PRAGMA synchronous = FULL');
    }
  }

  transaction<T>(work: () => T): T {
    this.run('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.run('COMMIT');
      return result;
    } catch (error) {
      // Some failures have rolled back by themselves.
      if (this.#database.isTransaction) this.run('ROLLBACK');
      throw error;
    }
  }

  close(): void {
    if (!this.#database.isOpen) return;
    this.#statements.clear();
    this.#database.close();
  }

  #prepare(sql: string): ReturnType<DatabaseSync['prepare']> {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

function translated<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const code = resultCode(cause) === FULL ? 'insufficient-storage' : 'internal-error';
    throw new CanopyError(code, `The state cannot be used: ${messageOf(cause)}`, { cause });
  }
}

/** The primary result code of an SQLite error; extended codes keep it in their low byte. */
export function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined;
}
