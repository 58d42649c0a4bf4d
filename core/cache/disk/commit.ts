import { withinCap } from '#core/cache/policy/keeping.ts';
import type { EvictionReason } from '#core/cache/tally.ts';
import type { Left } from './counts.ts';
import { makeRoom, queueFor, type Sequence } from './eviction.ts';
import { type Entry, type IndexDb, queueOf } from './index-db.ts';
import type { Ledger, Totals } from './ledger.ts';
import type { Commit } from './messages.ts';
import { type KeyRecord, keyHash, recordCost, shortHash } from './record.ts';
import type { SharedState } from './shared.ts';

/** Bodies in the record of one key. */
const RECORD_BODY_BYTES = 256 * 1024;

export interface Committing {
  readonly index: IndexDb;
  readonly shared: SharedState;
  readonly sequence: Sequence;
  readonly ledger: Ledger;
  readonly reserveBytes: number;
  /** Whether all that the store then has is within its limits. */
  readonly fits: (totals: Totals) => boolean;
  readonly evicted: (reason: EvictionReason, left: Left) => void;
}

/** Stores one object, within a transaction of the index. @returns whether it is stored */
export function commitObject(commit: Commit, at: Committing): boolean {
  const { index, shared, sequence, ledger } = at;
  const hash = keyHash(commit.key);
  const short = shortHash(hash);
  if (shared.isFenced(short, commit.ticket)) return false;
  const { file } = commit.at;
  const isKept = file !== undefined && commit.roomBytes === 0;
  if (isKept && index.hashOfFile(file) !== hash) return false;
  const before = index.find(hash);
  const record = withVariant(before, commit);
  const others = before?.record.variants.filter(
    ({ selector }) => selector !== commit.variant.selector,
  );
  if (before !== undefined && others !== undefined) {
    const { site, variants } = before.record;
    at.evicted('replaced', { site, objects: variants.length - others.length, bytes: 0 });
    const dropped = others.length + 1 - record.variants.length;
    at.evicted('variants', { site, objects: dropped, bytes: 0 });
  }
  const id = standing(commit, before, short, at);
  index.replace(ledger, hash, before, { id, record });
  const evicted = (left: Left): void => at.evicted('capacity', left);
  if (makeRoom(index, shared, sequence, ledger, at.fits, evicted)) return index.has(hash);
  index.replace(ledger, hash, index.find(hash), undefined);
  return false;
}

function withVariant(before: Entry | undefined, commit: Commit): KeyRecord {
  const { key, site, variant, maxVariants } = commit;
  // Another key of the same hash gives way.
  const old = before?.record.key === key ? before.record : undefined;
  const variants: KeyRecord['variants'][number][] = [{ ...variant, at: commit.at }];
  const bodies: (Buffer | undefined)[] = [
    commit.body === undefined ? undefined : Buffer.from(commit.body),
  ];
  let bodyBytes = commit.body?.length ?? 0;
  const others = (old?.variants ?? []).filter(({ selector }) => selector !== variant.selector);
  const kept = withinCap([variant, ...others], maxVariants);
  for (const [i, other] of (old?.variants ?? []).entries()) {
    if (!kept.includes(other)) continue;
    const body = old?.bodies[i];
    bodyBytes += body?.length ?? 0;
    if (bodyBytes > RECORD_BODY_BYTES) break;
    variants.push(other);
    bodies.push(body);
  }
  const isAlone = variants.length === 1 || old === undefined;
  const expiresAt = isAlone ? commit.expiresAt : Math.max(commit.expiresAt, old.expiresAt);
  return { key, site, expiresAt, variants, bodies };
}

/** Where in the queues its record stands. */
function standing(
  { reserved, at: { size, file }, roomBytes }: Commit,
  before: Entry | undefined,
  short: number,
  { sequence, shared, ledger, reserveBytes }: Committing,
): number {
  const isInReserve = before !== undefined && queueOf(before.id) === 'reserve';
  const more = file === undefined ? recordCost(size) : roomBytes;
  if (reserved && ledger.totals.queued.reserve + more <= reserveBytes) {
    return isInReserve ? before.id : sequence.take('reserve');
  }
  if (before !== undefined && !isInReserve) return before.id;
  return sequence.take(queueFor(shared, short));
}
