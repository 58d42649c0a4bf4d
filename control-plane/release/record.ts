import { z } from 'zod';
import { nameSchema, sequenceSchema, timestampSchema } from '#core/contract/names.ts';
import { contentDigestSchema } from '#core/contract/release.ts';

/** What is being done for a release, in this order. */
export const releaseStepSchema = z.enum(['prepare', 'publish', 'prefetch', 'switch']);

/** A release as it is kept. */
export const releaseRecordSchema = z.strictObject({
  id: z.uuid(),
  site: nameSchema,
  /** preparing: on its way to be switched to; ready: it has been; the others never were. */
  status: z.enum(['preparing', 'ready', 'failed', 'cancelled']),
  step: releaseStepSchema,
  /** SHA-256 of the manifest that origins are to switch to, or last did. */
  manifest: contentDigestSchema.nullable(),
  /** SHA-256 of the manifest of what was published ahead of the switch. */
  additions: contentDigestSchema.nullable(),
  objects: z.int(),
  /** Of all its contents. */
  bytes: z.int(),
  /** Paths that the switch gives an object, another object, or none. */
  added: z.int(),
  changed: z.int(),
  deleted: z.int(),
  /** The token. */
  by: z.string(),
  reason: z.string().exactOptional(),
  createdAt: timestampSchema,
  /** When its site was last switched to it, and by which event and purge. */
  switchedAt: timestampSchema.nullable(),
  sequence: sequenceSchema.nullable(),
  purge: z.string().nullable(),
  /** What places its objects in caches ahead. */
  push: z.string().nullable(),
  /** When another took its place. */
  supersededAt: timestampSchema.nullable(),
  /** What only it has is gone from the origin. */
  isRetired: z.boolean(),
  /** Its contents are still held, so that it can be switched to. */
  isHeld: z.boolean(),
  /** Why it has failed. */
  failure: z.strictObject({ code: z.string(), detail: z.string() }).exactOptional(),
});

export type ReleaseRecord = z.output<typeof releaseRecordSchema>;
export type ReleaseStep = z.output<typeof releaseStepSchema>;

/** Whose turn it is to change a site's release: one at a time, across all control planes. */
export interface Turn {
  readonly release: string;
  /** Ms since the Unix epoch; who is not heard of any more has lost it. */
  readonly heardAt: number;
}

/** A release that has just been ordered. */
export const newRelease = ({
  reason,
  ...ordered
}: Pick<ReleaseRecord, 'id' | 'site' | 'objects' | 'by' | 'createdAt'> & {
  readonly reason: string | undefined;
}): ReleaseRecord => ({
  ...ordered,
  ...(reason !== undefined && { reason }),
  status: 'preparing',
  step: 'prepare',
  manifest: null,
  additions: null,
  bytes: 0,
  added: 0,
  changed: 0,
  deleted: 0,
  switchedAt: null,
  sequence: null,
  purge: null,
  push: null,
  supersededAt: null,
  isRetired: false,
  isHeld: false,
});

/** What is to be done about the releases of a site. */
export interface Duties {
  /** What only these have is to go. */
  readonly retiring: readonly ReleaseRecord[];
  /** Whatever these have stays. */
  readonly staying: readonly ReleaseRecord[];
  /** Their contents are needed no more. */
  readonly lettingGo: readonly ReleaseRecord[];
}

/**
 * @param releases newest first
 * @param current the id of the one in effect
 * @param now ms since the Unix epoch
 */
export function duties(
  releases: readonly ReleaseRecord[],
  current: string | undefined,
  { keepAssetsSeconds, keep }: { readonly keepAssetsSeconds: number; readonly keep: number },
  now: number,
): Duties {
  const isDue = ({ status, supersededAt }: ReleaseRecord): boolean =>
    status === 'failed' ||
    status === 'cancelled' ||
    (status === 'ready' && supersededAt !== null && now - supersededAt >= keepAssetsSeconds * 1000);
  const others = releases.filter(({ id }) => id !== current);
  const kept = new Set(others.filter(({ status }) => status === 'ready').slice(0, keep - 1));
  return {
    retiring: others.filter((release) => !release.isRetired && isDue(release)),
    staying: releases.filter(
      (release) => release.id === current || (release.isHeld && !isDue(release)),
    ),
    lettingGo: others.filter(
      (release) => release.isHeld && release.isRetired && isDue(release) && !kept.has(release),
    ),
  };
}
