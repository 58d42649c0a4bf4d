import { CanopyError } from '#core/errors.ts';
import { formatDate } from '#core/http/dates.ts';
import { type Fields, withoutFields } from '#core/http/fields.ts';
import { select } from '#core/http/selection.ts';
import { failureAnswer } from '#core/serving/deliver.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import type { ObjectStore, OriginObject } from './object-store.ts';

/** What a request is answered with. */
export interface Answer {
  readonly status: number;
  readonly fields: Fields;
  readonly content: readonly Buffer[] | AsyncIterable<Buffer>;
}

export function jsonAnswer(status: number, value: unknown, fields: Fields = []): Answer {
  const content = Buffer.from(`${JSON.stringify(value)}\n`);
  return {
    status,
    fields: [
      'Content-Type',
      'application/json',
      'Content-Length',
      String(content.length),
      'Cache-Control',
      'no-store',
      ...fields,
    ],
    content: [content],
  };
}

export const emptyAnswer = (status: number): Answer => ({ status, fields: [], content: [] });

/** Problem details; to another node, a failure of ours is marked as such, so that it walks on. */
export function problemAnswer(error: unknown, toTier: boolean): Answer {
  const { status, fields, content } = failureAnswer(error, undefined, false);
  const added: string[] = [];
  if (!toTier) return { status, fields: [...fields, ...added], content };
  const code = error instanceof CanopyError ? error.code : 'internal-error';
  if (status >= 500 || code === 'forbidden') added.push(TIER_FIELDS.error, code);
  // How long caches keep it is the site's to say.
  const cacheable = withoutFields(fields, (name) => name === 'cache-control');
  return { status, fields: [...cacheable, ...added], content };
}

/** An object, or what the request's preconditions and range make of it. Replaced meanwhile: `undefined`. */
export async function objectAnswer(
  store: ObjectStore,
  object: OriginObject,
  request: { readonly method: string; readonly fields: Fields; readonly now: number },
): Promise<Answer | undefined> {
  const { method, fields, now } = request;
  const selection = select(method, fields, {
    status: 200,
    fields: ['Date', formatDate(now), ...objectFields(object)],
    size: object.size,
  });
  const { status, part } = selection;
  if (part === 'none') return { status, fields: selection.fields, content: [] };
  const content = await store.read(object, part === 'all' ? undefined : part);
  return content && { status, fields: selection.fields, content };
}

function objectFields(object: OriginObject): Fields {
  const { etag, size, contentType, cacheControl, lastModifiedMs } = object;
  return [
    'ETag',
    etag,
    'Last-Modified',
    formatDate(lastModifiedMs),
    'Content-Type',
    contentType,
    'Content-Length',
    String(size),
    'Accept-Ranges',
    'bytes',
    ...(cacheControl === undefined ? [] : ['Cache-Control', cacheControl]),
  ];
}
