import { z } from 'zod';
import { nameSchema } from '#core/contract/names.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, MethodNotAllowed } from '#core/errors.ts';
import { evaluatePreconditions } from '#core/http/conditionals.ts';
import { formatDate } from '#core/http/dates.ts';
import { type Fields, fieldValue } from '#core/http/fields.ts';
import { normalizePath } from '#core/http/target.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import { type Answer, emptyAnswer, jsonAnswer } from './answer.ts';
import { type ContentRequest, storedAnswer } from './content.ts';
import { mediaTypeOf } from './media-type.ts';
import type { Admission, ObjectStore, OriginObject } from './object-store.ts';

/** `/v1/sites/{site}/objects`, the object's path, the query. */
const API_TARGET = /^\/v1\/sites\/([^/?]*)\/objects(\/[^?]*)?(?:\?(.*))?$/;

/** What replicas follow. */
const CHANGES_TARGET = /^\/v1\/changes(?:\?(.*))?$/;

const changesQuerySchema = z.strictObject({
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});

const WRITTEN_AT = TIER_FIELDS.writtenAt.toLowerCase();

const MOST_LISTED = 1000;

const listQuerySchema = z.strictObject({
  prefix: z.string().default(''),
  after: z.string().default(''),
  limit: z.coerce.number().int().min(1).max(MOST_LISTED).default(100),
});

export interface ApiRequest {
  readonly method: string;
  readonly target: string;
  readonly fields: Fields;
  readonly content: AsyncIterable<Buffer>;
  /** Wall time, ms since the Unix epoch. */
  readonly now: number;
}

/**
 * The object API, for those who may publish.
 * @throws CanopyError
 */
export async function apiAnswer(store: ObjectStore, request: ApiRequest): Promise<Answer> {
  const changesQuery = CHANGES_TARGET.exec(request.target);
  if (changesQuery !== null) return changes(store, request.method, changesQuery[1]);
  const [, name, objectPath, query] = API_TARGET.exec(request.target) ?? [];
  if (name === undefined) throw new CanopyError('not-found', `There is no ${request.target}`);
  const site = validate(nameSchema, name, 'site');
  if (objectPath === undefined) return list(store, request.method, site, query);
  const path = normalizePath(objectPath);
  if (path === undefined) {
    throw new CanopyError('invalid-request', `The path is malformed: ${objectPath}`);
  }
  const { method, fields, now } = request;
  const wanted: ContentRequest = { method, site, path, fields, now };
  switch (method) {
    case 'GET':
    case 'HEAD':
      return storedAnswer(store, wanted, [path]);
    case 'PUT':
      return put(store, wanted, request.content);
    case 'DELETE':
      return remove(store, wanted);
    default:
      throw new MethodNotAllowed(method, 'GET, HEAD, PUT, DELETE');
  }
}

async function list(
  store: ObjectStore,
  method: string,
  site: string,
  query: string | undefined,
): Promise<Answer> {
  if (method !== 'GET') throw new MethodNotAllowed(method, 'GET');
  const parameters = Object.fromEntries(new URLSearchParams(query));
  const { prefix, after, limit } = validate(listQuerySchema, parameters, 'query');
  // One more than asked for tells whether there is a next page.
  const found = await store.list(site, { prefix, after, limit: limit + 1 });
  const objects = found.slice(0, limit);
  const next = found.length > limit ? (objects.at(-1)?.path ?? null) : null;
  return jsonAnswer(200, { items: objects.map(described), next });
}

async function changes(
  store: ObjectStore,
  method: string,
  query: string | undefined,
): Promise<Answer> {
  if (method !== 'GET') throw new MethodNotAllowed(method, 'GET');
  const parameters = Object.fromEntries(new URLSearchParams(query));
  const { after, limit } = validate(changesQuerySchema, parameters, 'query');
  const found = await store.changes(after, limit);
  const told = found.map((change) => ({
    ...change,
    object: change.object && {
      ...change.object,
      cacheControl: change.object.cacheControl ?? null,
    },
  }));
  return jsonAnswer(200, { store: store.id, changes: told });
}

async function put(
  store: ObjectStore,
  request: ContentRequest,
  content: AsyncIterable<Buffer>,
): Promise<Answer> {
  const { site, path, fields } = request;
  refuseUnsupported(fields);
  const admit = admission(request);
  // Once before the content is read, to spare the client the upload, and again when it is stored.
  admit(await store.find(site, path));
  const { object, created } = await store.put(site, path, {
    content,
    size: announcedSize(fields),
    contentType: fieldValue(fields, 'content-type') ?? mediaTypeOf(path),
    cacheControl: fieldValue(fields, 'cache-control'),
    admit,
    written: { by: 'publisher', atMs: writtenAt(request) },
  });
  return jsonAnswer(created ? 201 : 200, described(object), ['ETag', object.etag]);
}

async function remove(store: ObjectStore, request: ContentRequest): Promise<Answer> {
  const { site, path } = request;
  const written = { by: 'publisher', atMs: writtenAt(request) } as const;
  if (await store.delete(site, path, admission(request), written)) return emptyAnswer(204);
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

/** The same on all replicas that a publisher writes to, where the control plane says it. */
function writtenAt({ fields, now }: ContentRequest): number {
  const said = fieldValue(fields, WRITTEN_AT) ?? '';
  return /^\d{1,15}$/.test(said) ? Number(said) : now;
}

/** node:http has seen to it that it is a number. */
function announcedSize(fields: Fields): number | undefined {
  const length = fieldValue(fields, 'content-length');
  return length === undefined ? undefined : Number(length);
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
