import { readFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { Reader, type Response } from 'maxmind';
import type { Cancel, Clock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { type GeoRecord, readRecord } from './record.ts';

/** How often the file is looked at. */
const LOOK_MS = 10_000;

/** What a database says of an address. */
export interface GeoMatch {
  readonly record: GeoRecord;
  /** The first so many bits of the address decide this. */
  readonly length: number;
}

/** A database in MaxMind's format, in memory. */
export class GeoDatabase {
  readonly file: string;
  #content: Uint8Array;
  #reader: Reader<Response>;
  #cancel: Cancel = () => undefined;

  private constructor(file: string, content: Uint8Array) {
    this.file = file;
    this.#content = content;
    this.#reader = readerOf(file, content);
  }

  /**
   * What another thread has opened.
   * @throws CanopyError `invalid-input` if it is no database
   */
  static of(file: string, content: Uint8Array): GeoDatabase {
    return new GeoDatabase(file, content);
  }

  /** @throws CanopyError `invalid-input` if it cannot be read */
  static open(file: string): GeoDatabase {
    try {
      return new GeoDatabase(file, shared(readFileSync(file)));
    } catch (cause) {
      if (cause instanceof CanopyError) throw cause;
      throw new CanopyError('invalid-input', `Cannot read ${file}: ${messageOf(cause)}`, { cause });
    }
  }

  /** In memory that threads share. */
  get content(): Uint8Array {
    return this.#content;
  }

  /**
   * Goes by this from now on.
   * @throws CanopyError `invalid-input` if it is no database; what there was stays
   */
  replace(content: Uint8Array): void {
    this.#reader = readerOf(this.file, content);
    this.#content = content;
  }

  /** Milliseconds since the Unix epoch. */
  get builtAt(): number {
    return this.#reader.metadata.buildEpoch.getTime();
  }

  /** @param address without zone */
  match(address: string): GeoMatch {
    const [response, length] = this.#reader.getWithPrefixLength(address);
    return { record: readRecord(response), length };
  }

  /**
   * Takes up the file whenever it has changed; one that is damaged is not taken up.
   * @param onChange told of each change, with what was wrong with the new file, if something was
   */
  watch(clock: Clock, onChange: (problem: unknown) => void): void {
    let seen = '';
    const look = async (): Promise<void> => {
      const now = await versionOf(this.file);
      if (seen !== '' && now !== seen) {
        try {
          this.replace(shared(await readFile(this.file)));
          onChange(undefined);
        } catch (problem) {
          onChange(problem);
        }
      }
      seen = now;
      if (this.#cancel !== closed) this.#cancel = clock.after(LOOK_MS, () => void look());
    };
    void look();
  }

  close(): void {
    this.#cancel();
    this.#cancel = closed;
  }
}

const closed: Cancel = () => undefined;

/** Tells one content of the file from another. */
async function versionOf(file: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(file);
    return `${mtimeMs} ${size} ${ino}`;
  } catch (error) {
    return messageOf(error);
  }
}

/** A copy that threads can be handed without another. */
function shared(content: Buffer): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(content.length));
  copy.set(content);
  return copy;
}

function readerOf(file: string, content: Uint8Array): Reader<Response> {
  try {
    const { buffer, byteOffset, byteLength } = content;
    const reader = new Reader<Response>(Buffer.from(buffer, byteOffset, byteLength));
    // Finds what a file that was cut off lacks.
    reader.get('192.0.2.1');
    if (reader.metadata.searchTreeSize > content.length) throw new Error('it is cut off');
    return reader;
  } catch (cause) {
    throw new CanopyError(
      'invalid-input',
      `${file} is no database in MaxMind's format: ${messageOf(cause)}`,
      { cause },
    );
  }
}
