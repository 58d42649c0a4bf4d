import { z } from 'zod';
import { CanopyError, MethodNotAllowed } from '#core/errors.ts';
import { evaluatePreconditions } from '#core/http/conditionals.ts';
import { formatDate } from '#core/http/dates.ts';
import { announcedDigest } from '#core/http/digest.ts';
import { type Fields, fieldValue } from '#core/http/fields.ts';
import { type Answer, emptyAnswer, jsonAnswer } from './answer.ts';
import {
  announcedSize,
  normalizedPath,
  parseQuery,
  type SiteRequest,
  writtenBy,
} from './api-request.ts';
import { type ContentRequest, storedAnswer } from './content.ts';
import { mediaTypeOf } from '#core/http/media-type.ts';
import type { Admission, ObjectStore, OriginObject } from './object-store.ts';

const MOST_LISTED = 1000;

const listQuerySchema = z.strictObject({
  prefix: z.string().default(''),
  after: z.string().default(''),
  limit: z.coerce.number().int().min(1).max(MOST_LISTED).default(100),
});

/**
 * The objects of a site: `objects` lists them, `objects{path}` is one.
 * @throws CanopyError
 */
export async function objectsAnswer(store: ObjectStore, request: SiteRequest): Promise<Answer> {
  const { method, site, rest, fields, now } = request;
  if (rest === '') return list(store, request);
  const wanted: ContentRequest = { method, site, path: normalizedPath(rest), fields, now };
  switch (method) {
    case 'GET':
    case 'HEAD':
      return storedAnswer(store, wanted, [wanted.path]);
    case 'PUT':
      return put(store, wanted, request);
    case 'DELETE':
      return remove(store, wanted, request);
    default:
      throw new MethodNotAllowed(method, 'GET, HEAD, PUT, DELETE');
  }
}

/**
 * `versions{path}`: what was at a path before and is kept, the latest first.
 * @throws CanopyError
 */
export async function versionsAnswer(store: ObjectStore, request: SiteRequest): Promise<Answer> {
  const { method, site, rest } = request;
  if (method !== 'GET') throw new MethodNotAllowed(method, 'GET');
  const versions = await store.versions(site, normalizedPath(rest));
  return jsonAnswer(200, { versions: versions.map(described) });
}

async function list(store: ObjectStore, { method, site, query }: SiteRequest): Promise<Answer> {
  if (method !== 'GET') throw new MethodNotAllowed(method, 'GET');
  const { prefix, after, limit } = parseQuery(listQuerySchema, query);
  // One more than asked for tells whether there is a next page.
  const found = await store.list(site, { prefix, after, limit: limit + 1 });
  const objects = found.slice(0, limit);
  const next = found.length > limit ? (objects.at(-1)?.path ?? null) : null;
  return jsonAnswer(200, { items: objects.map(described), next });
}

async function put(
  store: ObjectStore,
  wanted: ContentRequest,
  request: SiteRequest,
): Promise<Answer> {
  const { site, path, fields } = wanted;
  refuseUnsupported(fields);
  const admit = admission(wanted);
  // Once before the content is read, to spare the client the upload, and again when it is stored.
  admit(await store.find(site, path));
  const { object, created } = await store.put(site, path, {
    content: request.content,
    size: announcedSize(fields),
    digest: announcedDigest(fields),
    contentType: fieldValue(fields, 'content-type') ?? mediaTypeOf(path),
    cacheControl: fieldValue(fields, 'cache-control'),
    admit,
    written: writtenBy(request),
  });
  return jsonAnswer(created ? 201 : 200, described(object), ['ETag', object.etag]);
}

async function remove(
  store: ObjectStore,
  wanted: ContentRequest,
  request: SiteRequest,
): Promise<Answer> {
  const { site, path } = wanted;
  if (await store.delete(site, path, admission(wanted), writtenBy(request))) {
    return emptyAnswer(204);
  }
  throw new CanopyError('not-found', `${site} has no ${path}`);
}

/** What would be stored as something else than was meant, RFC 9110 §9.3.4 and §14.5. */
function refuseUnsupported(fields: Fields): void {
  for (const name of ['content-range', 'content-encoding']) {
    const value = fieldValue(fields, name);
    if (value === undefined || value.toLowerCase() === 'identity') continue;
    throw new CanopyError(
      'invalid-request',
      `Objects are stored whole and as they are: ${name}: ${value}`,
    );
  }
}

function admission({ method, path, fields }: ContentRequest): Admission {
  const conditions = {
    method,
    ifMatch: fieldValue(fields, 'if-match'),
    ifNoneMatch: fieldValue(fields, 'if-none-match'),
    ifUnmodifiedSince: fieldValue(fields, 'if-unmodified-since'),
  };
  return (current) => {
    const selected = current && {
      etag: current.etag,
      lastModified: formatDate(current.lastModifiedMs),
    };
    if (evaluatePreconditions(conditions, selected) === 'proceed') return;
    const found = current === undefined ? 'there is none' : `it is ${current.etag}`;
    throw new CanopyError('precondition-failed', `${path} is not what was expected: ${found}`);
  };
}

/** An object as the API tells it: the values with which it is served. */
function described(object: OriginObject): Readonly<Record<string, unknown>> {
  const { path, etag, size, contentType, cacheControl, lastModifiedMs } = object;
  const lastModified = formatDate(lastModifiedMs);
  return { path, etag, size, contentType, cacheControl, lastModified };
}
