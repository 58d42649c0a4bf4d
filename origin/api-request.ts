import type { z } from 'zod';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { type Fields, fieldValue } from '#core/http/fields.ts';
import { normalizePath } from '#core/http/target.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import type { Written } from './object-store.ts';

export interface ApiRequest {
  readonly method: string;
  readonly target: string;
  readonly fields: Fields;
  readonly content: AsyncIterable<Buffer>;
  /** Wall time, ms since the Unix epoch. */
  readonly now: number;
}

/** A request for something of one site. */
export interface SiteRequest extends ApiRequest {
  readonly site: string;
  /** What follows the name of the resource in the target's path, from its slash on, or nothing. */
  readonly rest: string;
  readonly query: string | undefined;
}

const WRITTEN_AT = TIER_FIELDS.writtenAt.toLowerCase();

/** The same on all replicas that a publisher writes to, where the control plane says it. */
export function writtenBy({ fields, now }: ApiRequest): Written {
  const said = fieldValue(fields, WRITTEN_AT) ?? '';
  return { by: 'publisher', atMs: /^\d{1,15}$/.test(said) ? Number(said) : now };
}

/** node:http has seen to it that it is a number. */
export function announcedSize(fields: Fields): number | undefined {
  const length = fieldValue(fields, 'content-length');
  return length === undefined ? undefined : Number(length);
}

/** @throws CanopyError `invalid-request` */
export function normalizedPath(path: string): string {
  const normalized = normalizePath(path);
  if (normalized !== undefined) return normalized;
  throw new CanopyError('invalid-request', `The path is malformed: ${path}`);
}

export const parseQuery = <T extends z.ZodType>(
  schema: T,
  query: string | undefined,
): z.output<T> => validate(schema, Object.fromEntries(new URLSearchParams(query)), 'query');

/** The longest JSON that is read. */
const JSON_LIMIT_BYTES = 16 * 1024 * 1024;

/** @throws CanopyError `content-too-large`, `invalid-request`, `invalid-input` */
export async function readJson<T extends z.ZodType>(
  schema: T,
  { content }: ApiRequest,
  subject: string,
): Promise<z.output<T>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of content) {
    size += chunk.length;
    if (size > JSON_LIMIT_BYTES) {
      throw new CanopyError('content-too-large', `At most ${JSON_LIMIT_BYTES} bytes are read`);
    }
    chunks.push(chunk);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString());
  } catch (cause) {
    throw new CanopyError('invalid-request', `The ${subject} is not JSON`, { cause });
  }
  return validate(schema, value, subject);
}
