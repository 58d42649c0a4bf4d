import { createHash } from 'node:crypto';
import { z } from 'zod';
import {
  canarySchema,
  type Config,
  currentReleaseSchema,
  networkSchema,
} from '#core/contract/event.ts';
import { certificateEntrySchema } from '#core/contract/certificate.ts';
import {
  journalIdSchema,
  nameSchema,
  sequenceSchema,
  timestampSchema,
} from '#core/contract/names.ts';
import { nodeSchema } from '#core/contract/node.ts';
import { banSchema } from '#core/contract/purge.ts';
import { siteSchema } from '#core/contract/site.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { newHead } from '../journal/head.ts';
import { RECORD_KINDS } from './records.ts';
import type { PurgeRecord, StateContent, StateStore } from './store.ts';
import { digestSchema, hexOf, storedTokenSchema, writtenToken } from './token.ts';

/** 1 had no bans, 2 no releases, 3 no certificates. */
const VERSION = 4;

const headerSchema = z.strictObject({
  canopyBackup: z.int().min(1).max(VERSION),
  /** Ms since the Unix epoch. */
  createdAt: timestampSchema,
  journal: journalIdSchema,
  sequence: sequenceSchema,
  network: networkSchema,
  canary: canarySchema.exactOptional(),
});

/** What a line after the first may hold, by its only field. */
const lineSchema = z.union([
  z.strictObject({ site: siteSchema }),
  z.strictObject({ node: nodeSchema }),
  z.strictObject({ ban: banSchema }),
  z.strictObject({ release: currentReleaseSchema.extend({ site: nameSchema }) }),
  z.strictObject({ certificate: certificateEntrySchema }),
  z.strictObject({ credential: z.strictObject({ node: nameSchema, digest: digestSchema }) }),
  z.strictObject({ token: storedTokenSchema }),
  z.strictObject({
    purge: z.looseObject({
      id: z.string(),
      sequences: z.array(sequenceSchema).min(1),
      status: z.enum(['pending', 'complete']),
    }),
  }),
  z.strictObject({
    record: z.strictObject({
      kind: z.enum(RECORD_KINDS),
      id: z.string(),
      revision: z.int().min(1),
      value: z.unknown(),
    }),
  }),
]);

const checksumSchema = z.strictObject({ sha256: z.string() });

/**
 * The state as JSON lines: a header, one line per thing, and at last the SHA-256 of all before. Holds
 * the network's keys, and those of the certificates.
 * @param now ms since the Unix epoch
 */
export function writeBackup(content: StateContent, now: number): string {
  const { config, credentials, tokens, purges, records } = content;
  const { sites, nodes, bans, certificates, releases = {}, ...head } = config;
  const lines = [
    { canopyBackup: VERSION, createdAt: now, ...head },
    ...sites.map((site) => ({ site })),
    ...nodes.map((node) => ({ node })),
    ...bans.map((ban) => ({ ban })),
    ...Object.entries(releases).map(([site, one]) => ({ release: { site, ...one } })),
    ...certificates.map((certificate) => ({ certificate })),
    ...credentials.map(({ node, digest }) => ({ credential: { node, digest: hexOf(digest) } })),
    ...tokens.map((token) => ({ token: writtenToken(token) })),
    ...purges.map((purge) => ({ purge })),
    ...records.map((record) => ({ record })),
  ];
  const text = lines.map(line).join('');
  return text + line({ sha256: checksumOf(text) });
}

/** @throws CanopyError `invalid-input` if it is cut, changed, no backup, or of another version */
export function readBackup(text: string): StateContent {
  const lastLine = text.lastIndexOf('\n', text.length - 2) + 1;
  const body = text.slice(0, lastLine);
  const [first = '', ...rest] = body.trimEnd().split('\n');
  const { canopyBackup } = parse(z.looseObject({ canopyBackup: z.int() }), first, 1);
  if (canopyBackup > VERSION) {
    throw damaged(`it has version ${canopyBackup}, this Canopy knows ${VERSION}`);
  }
  const { sha256 } = parse(checksumSchema, text.slice(lastLine), rest.length + 2);
  if (sha256 !== checksumOf(body))
    throw damaged('its checksum does not fit: it was cut or changed');
  const { canopyBackup: _, createdAt: __, ...head } = parse(headerSchema, first, 1);
  const lines = rest.map((content, index) => parse(lineSchema, content, index + 2));
  return {
    config: {
      ...head,
      sites: lines.flatMap((entry) => ('site' in entry ? [entry.site] : [])),
      nodes: lines.flatMap((entry) => ('node' in entry ? [entry.node] : [])),
      bans: lines.flatMap((entry) => ('ban' in entry ? [entry.ban] : [])),
      ...releasesIn(lines),
      certificates: lines.flatMap((entry) => ('certificate' in entry ? [entry.certificate] : [])),
    },
    credentials: lines.flatMap((entry) => ('credential' in entry ? [entry.credential] : [])),
    tokens: lines.flatMap((entry) => ('token' in entry ? [entry.token] : [])),
    purges: lines.flatMap((entry) =>
      // What else a purge has is as this Canopy wrote it: the checksum says so.
      'purge' in entry ? [entry.purge as unknown as PurgeRecord] : [],
    ),
    records: lines.flatMap((entry) => ('record' in entry ? [entry.record] : [])),
  };
}

function releasesIn(lines: readonly z.output<typeof lineSchema>[]): Pick<Config, 'releases'> {
  const found = lines.flatMap((entry) => ('release' in entry ? [entry.release] : []));
  if (found.length === 0) return {};
  return { releases: Object.fromEntries(found.map(({ site, ...one }) => [site, one])) };
}

/**
 * Puts a backup into a state. The journal goes on as another one: nodes may know a later history, so
 * each takes a snapshot, and treats all it holds as soft-purged.
 * @param options.force replaces what is there; options.now in ms since the Unix epoch
 * @throws CanopyError `conflict` without `force` if something is there
 */
export async function restoreBackup(
  store: StateStore,
  backup: StateContent,
  { force, now }: { readonly force: boolean; readonly now: number },
): Promise<void> {
  const present = await store.head();
  if (!force && (present !== undefined || (await store.tokens()).length > 0)) {
    throw new CanopyError(
      'conflict',
      `There is a state already, at sequence ${present?.sequence ?? 0}; --force replaces it`,
    );
  }
  const sequence = Math.max(backup.config.sequence, present?.sequence ?? 0);
  await store.replace({ ...backup, config: { ...backup.config, ...newHead(sequence, now) } });
}

const line = (value: object): string => `${JSON.stringify(value)}\n`;

const checksumOf = (text: string): string => createHash('sha256').update(text).digest('hex');

function parse<T extends z.ZodType>(schema: T, text: string, number: number): z.output<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(`line ${number}: ${messageOf(cause)}`);
  }
  return validate(schema, value, `backup, line ${number}`);
}

const damaged = (reason: string): CanopyError =>
  new CanopyError('invalid-input', `This is no backup that can be restored: ${reason}`);
