import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Left } from './counts.ts';
import type { Files } from './files.ts';
import type { Entry, IndexDb } from './index-db.ts';
import type { Ledger } from './ledger.ts';
import type { Drop, Which } from './messages.ts';
import { asOfIn, type KeyRecord, keyHash, type Variant } from './record.ts';

/** Records looked at for their expiry in one go. */
const EXPIRY_BATCH = 2_000;

/** The record with some of its variants; `undefined`: none are left. */
export function keepVariants(
  record: KeyRecord,
  kept: (variant: Variant) => boolean,
): KeyRecord | undefined {
  const indices = [...record.variants.keys()].filter((i) => kept(record.variants[i] as Variant));
  if (indices.length === 0) return undefined;
  return {
    ...record,
    variants: indices.map((i) => record.variants[i] as Variant),
    bodies: indices.map((i) => record.bodies[i]),
  };
}

/** Drops the variants that are not `kept`, within a transaction. @returns what went */
export function dropVariants(
  index: IndexDb,
  ledger: Ledger,
  hash: string,
  entry: Entry,
  kept: (variant: Variant) => boolean,
): Left {
  const { site } = entry.record;
  const record = keepVariants(entry.record, kept);
  const objects = entry.record.variants.length - (record?.variants.length ?? 0);
  if (objects === 0) return { site, objects: 0, bytes: 0 };
  const before = ledger.totals;
  index.replace(ledger, hash, entry, record === undefined ? undefined : { id: entry.id, record });
  const after = ledger.totals;
  const bytes = before.fileBytes + before.recordBytes - after.fileBytes - after.recordBytes;
  return { site, objects, bytes };
}

const IS_MEANT: {
  readonly [K in Which['kind']]: (variant: Variant, which: Which & { kind: K }) => boolean;
} = {
  selector: ({ selector, asOf, era }, which) =>
    selector === which.selector &&
    (which.asOf === undefined || asOfIn({ asOf, era }, which.era) === which.asOf),
  prefix: ({ selector }, { prefix }) => selector.startsWith(prefix),
  before: (variant, { sequence, era }) => asOfIn(variant, era) < sequence,
  file: ({ at }, { file }) => at.file === file,
};

export const isMeant = (variant: Variant, which: Which): boolean =>
  IS_MEANT[which.kind](variant, which as never);

/** Drops or marks what is ordered, within a transaction. @returns what went */
export function dropOrdered(index: IndexDb, ledger: Ledger, drop: Drop): Left | undefined {
  const hash = keyHash(drop.key);
  const entry = index.find(hash);
  if (entry?.record.key !== drop.key) return undefined;
  const { which, softPurgedAt } = drop;
  if (softPurgedAt === undefined) {
    return dropVariants(index, ledger, hash, entry, (variant) => !isMeant(variant, which));
  }
  const variants = entry.record.variants.map((variant) =>
    isMeant(variant, which) ? { ...variant, softPurgedAt } : variant,
  );
  const record = { ...entry.record, variants };
  index.replace(ledger, hash, entry, { id: entry.id, record });
  return undefined;
}

/**
 * Drops what has expired, some records further.
 * @param from the number after which to go on
 * @returns where it has come to; -1: at the end, so that it begins anew
 */
export function expire(
  index: IndexDb,
  ledger: Ledger,
  from: number,
  now: number,
  expired: (left: Left) => void,
): number {
  const ids = index.after(from, EXPIRY_BATCH);
  for (const id of ids) {
    if ((index.expiryAt(id) ?? Infinity) > now) continue;
    const entry = index.at(id);
    if (entry === undefined) continue;
    expired(dropVariants(index, ledger, keyHash(entry.record.key), entry, () => false));
  }
  return ids.length < EXPIRY_BATCH ? -1 : (ids.at(-1) ?? -1);
}

/**
 * Removes files of earlier runs that no record names, and records whose files are gone.
 * @param damaged told of the objects whose files are gone
 */
export async function sweepFiles(
  index: IndexDb,
  files: Files,
  run: number,
  isClosed: () => boolean,
  damaged: (left: Left) => void,
): Promise<void> {
  await nextTurn();
  const listed = (from: number, to: number): ReadonlySet<number> => {
    if (isClosed()) throw new SweepEnded();
    index.refresh();
    return index.filesBetween(from, to);
  };
  const missing = (file: number): void => {
    const { result, freed } = index.transact((ledger) => {
      const hash = index.hashOfFile(file);
      const entry = hash === undefined ? undefined : index.find(hash);
      if (hash === undefined || entry === undefined) return undefined;
      return dropVariants(index, ledger, hash, entry, ({ at }) => at.file !== file);
    });
    if (result !== undefined) damaged(result);
    for (const other of freed) if (other !== file) void files.remove(other);
  };
  try {
    await files.sweep(run, listed, missing);
  } catch (error) {
    if (!(error instanceof SweepEnded)) throw error;
  }
}

class SweepEnded extends Error {}
