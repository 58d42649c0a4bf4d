import { z } from 'zod';
import { nameSchema } from '#core/contract/names.ts';
import { contentDigestSchema } from '#core/contract/release.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, MethodNotAllowed } from '#core/errors.ts';
import { type Answer, emptyAnswer, jsonAnswer } from './answer.ts';
import {
  announcedSize,
  normalizedPath,
  readJson,
  type SiteRequest,
  writtenBy,
} from './api-request.ts';
import { mediaTypeOf } from '#core/http/media-type.ts';
import type { Content, ObjectStore, Publication } from './object-store.ts';

/** Digests, or paths, that one request may name. */
const MOST_NAMED = 50_000;

const digestsSchema = z.strictObject({ digests: z.array(contentDigestSchema).max(MOST_NAMED) });

const publicationSchema = z.strictObject({
  objects: z
    .array(
      z.strictObject({
        path: z.string().startsWith('/'),
        digest: contentDigestSchema,
        contentType: z.string().optional(),
        cacheControl: z.string().optional(),
      }),
    )
    .max(MOST_NAMED)
    .default([]),
  deleted: z.array(z.string().startsWith('/')).max(MOST_NAMED).default([]),
});

/**
 * `POST contents/missing` tells which digests have to be put; `contents/{digest}` is a content.
 * @throws CanopyError
 */
export async function contentsAnswer(store: ObjectStore, request: SiteRequest): Promise<Answer> {
  const { method, site, rest } = request;
  if (rest === '/missing') {
    if (method !== 'POST') throw new MethodNotAllowed(method, 'POST');
    const { digests } = await readJson(digestsSchema, request, 'list of digests');
    return jsonAnswer(200, { missing: await store.missing(site, digests) });
  }
  const digest = validate(contentDigestSchema, rest.slice(1), 'digest');
  switch (method) {
    case 'GET':
    case 'HEAD':
      return contentAnswer(store, request, digest);
    case 'PUT':
      return putContent(store, request, digest);
    default:
      throw new MethodNotAllowed(method, 'GET, HEAD, PUT');
  }
}

async function contentAnswer(
  store: ObjectStore,
  { method, site }: SiteRequest,
  digest: string,
): Promise<Answer> {
  const found = await store.content(site, digest);
  const content = method === 'HEAD' ? [] : found && (await store.read(found));
  if (found === undefined || content === undefined) {
    throw new CanopyError('not-found', `${site} has no content ${digest}`);
  }
  const fields = ['Content-Type', 'application/octet-stream', 'ETag', `"${digest}"`];
  return {
    status: 200,
    fields: [...fields, 'Content-Length', String(found.size), 'Cache-Control', 'no-store'],
    content,
  };
}

async function putContent(
  store: ObjectStore,
  { site, fields, content }: SiteRequest,
  digest: string,
): Promise<Answer> {
  const incoming = { content, size: announcedSize(fields), digest };
  const stored = await store.putContent(site, incoming);
  return jsonAnswer(stored.created ? 201 : 200, described(stored.content));
}

const described = ({ digest, size }: Content) => ({ digest, size });

/**
 * `POST publications` makes all its changes at one moment.
 * @throws CanopyError
 */
export async function publicationAnswer(store: ObjectStore, request: SiteRequest): Promise<Answer> {
  const { method, site, rest, target } = request;
  if (rest !== '') throw new CanopyError('not-found', `There is no ${target}`);
  if (method !== 'POST') throw new MethodNotAllowed(method, 'POST');
  const wanted = await readJson(publicationSchema, request, 'publication');
  const publication: Publication = {
    objects: wanted.objects.map(({ path: spelled, digest, contentType, cacheControl }) => {
      const path = normalizedPath(spelled);
      return { path, digest, contentType: contentType ?? mediaTypeOf(path), cacheControl };
    }),
    deleted: wanted.deleted.map(normalizedPath),
    written: writtenBy(request),
  };
  const { objects, deleted } = publication;
  refuseTwice([...objects.map(({ path }) => path), ...deleted]);
  await store.publish(site, publication);
  return jsonAnswer(200, { objects: objects.length, deleted: deleted.length });
}

function refuseTwice(paths: readonly string[]): void {
  const seen = new Set<string>();
  for (const path of paths) {
    if (seen.has(path)) {
      throw new CanopyError('invalid-request', `The publication names a path twice: ${path}`);
    }
    seen.add(path);
  }
}

/**
 * `PUT holds/{name}` keeps contents, `DELETE` lets them go.
 * @throws CanopyError
 */
export async function holdAnswer(store: ObjectStore, request: SiteRequest): Promise<Answer> {
  const { method, site, rest } = request;
  const name = validate(nameSchema, rest.slice(1), 'hold');
  if (method !== 'PUT' && method !== 'DELETE') throw new MethodNotAllowed(method, 'PUT, DELETE');
  const { digests } =
    method === 'PUT'
      ? await readJson(digestsSchema, request, 'list of digests')
      : { digests: [] as const };
  await store.hold(site, name, digests);
  return emptyAnswer(204);
}
