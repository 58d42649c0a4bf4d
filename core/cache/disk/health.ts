import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import type { Clock } from '#core/clock.ts';

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;

/** Errors of the system that a store outlives without writing. */
const OUTLIVED: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full',
  EDQUOT: 'The disk quota is used up',
  EIO: 'The disk fails',
  EROFS: 'The disk is read-only',
  EACCES: 'The directory may not be written',
  EPERM: 'The directory may not be written',
  EMFILE: 'Too many files are open in this process',
  ENFILE: 'Too many files are open on this machine',
  index: 'The index cannot be read or written',
};

/** The system's code of an error while a file was read or written; `undefined`: it has none. */
export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error ? String(error.code) : undefined;

/** The code of an error of the index, which gives the system's as a number and has its own. */
export function indexFailure(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const name = typeof code === 'number' && code > 0 ? getSystemErrorName(-code) : code;
  return typeof name === 'string' && name in OUTLIVED ? name : 'index';
}

/** How a store is. Where it is degraded, it answers from what it has and stores nothing. */
export type Health =
  | { readonly state: 'ok' }
  | {
      readonly state: 'degraded';
      /** The system's code, or `index` where the index fails. */
      readonly code: string;
      readonly reason: string;
      /** Ms since the epoch. */
      readonly since: number;
    };

export interface HealthWatchOptions {
  readonly clock: Clock;
  /** Whether the disk can be written again; never rejects. */
  readonly probe: () => Promise<boolean>;
  readonly onChange: (health: Health) => void;
}

/** Remembers that the disk has failed, and tries it again, less and less often, until it works. */
export class HealthWatch {
  readonly #options: HealthWatchOptions;
  #health: Health = { state: 'ok' };
  #closed = false;

  constructor(options: HealthWatchOptions) {
    this.#options = options;
  }

  get now(): Health {
    return this.#health;
  }

  /** @param code of the error; what is no fault of the disk changes nothing */
  failed(code: string): void {
    const reason = OUTLIVED[code];
    if (reason === undefined || this.#health.state === 'degraded' || this.#closed) return;
    const { clock, onChange } = this.#options;
    this.#health = { state: 'degraded', code, reason, since: clock.now() };
    onChange(this.#health);
    this.#retryAfter(FIRST_RETRY_MS);
  }

  close(): void {
    this.#closed = true;
  }

  #retryAfter(delayMs: number): void {
    this.#options.clock.after(delayMs, () => void this.#retry(delayMs));
  }

  async #retry(delayMs: number): Promise<void> {
    if (this.#closed) return;
    if (!(await this.#options.probe())) {
      this.#retryAfter(Math.min(delayMs * 2, LAST_RETRY_MS));
      return;
    }
    this.#health = { state: 'ok' };
    this.#options.onChange(this.#health);
  }
}

/** Whether a file can be written in `dir`, and is flushed. */
export async function canWriteTo(dir: string): Promise<boolean> {
  const path = join(dir, 'probe');
  try {
    const handle = await open(path, 'w', 0o600);
    try {
      await handle.writeFile(Buffer.alloc(PROBE_BYTES));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rm(path);
    return true;
  } catch {
    return false;
  }
}

const PROBE_BYTES = 64 * 1024;
