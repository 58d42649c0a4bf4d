import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { CanopyError, messageOf } from '#core/errors.ts';
import { readLogLine } from './log-line.ts';

/** What access logs hold, for replaying it again and again. */
export interface Requests {
  /** The object of each request, in order. */
  readonly ids: Uint32Array;
  /** By id. */
  readonly keys: readonly string[];
  /** By id: the largest answer seen, for some are parts, or only say that nothing has changed. */
  readonly bytes: readonly number[];
  /** Lines that are requests, but none that a cache could answer. */
  readonly skipped: number;
  /** Lines in no format that is known. */
  readonly unreadable: number;
}

/**
 * Reads access logs one after the other; those whose names end in `.gz` are unpacked.
 * @throws CanopyError `invalid-input` naming the file that cannot be read, or where there is no request at all
 */
export async function readLogs(files: readonly string[]): Promise<Requests> {
  const idOf = new Map<string, number>();
  const ids: number[] = [];
  const bytes: number[] = [];
  let skipped = 0;
  let unreadable = 0;
  for (const file of files) {
    for await (const line of linesOf(file)) {
      const read = readLogLine(line);
      if (read === 'skipped') skipped++;
      else if (read === 'unreadable') unreadable++;
      else {
        let id = idOf.get(read.key);
        if (id === undefined) idOf.set(read.key, (id = idOf.size));
        ids.push(id);
        bytes[id] = Math.max(bytes[id] ?? 0, read.bytes);
      }
    }
  }
  if (ids.length === 0) {
    throw new CanopyError(
      'invalid-input',
      `No request to replay in ${files.join(', ')}: ${unreadable} lines are unreadable, ${skipped} were skipped`,
    );
  }
  return { ids: Uint32Array.from(ids), keys: [...idOf.keys()], bytes, skipped, unreadable };
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const source = createReadStream(file);
  let input: Readable = source;
  if (file.endsWith('.gz')) {
    input = source.pipe(createGunzip());
    // A pipe does not pass errors on.
    source.on('error', (error) => input.destroy(error));
  }
  try {
    yield* createInterface({ input, crlfDelay: Infinity });
  } catch (cause) {
    throw new CanopyError('invalid-input', `Cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}
