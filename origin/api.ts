import { z } from 'zod';
import { nameSchema } from '#core/contract/names.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, MethodNotAllowed } from '#core/errors.ts';
import { type Answer, jsonAnswer } from './answer.ts';
import { type ApiRequest, parseQuery, type SiteRequest } from './api-request.ts';
import { contentsAnswer, holdAnswer, publicationAnswer } from './content-api.ts';
import { objectsAnswer, versionsAnswer } from './object-api.ts';
import type { ObjectStore } from './object-store.ts';
import { releaseAnswer } from './release-api.ts';
import type { Releases } from './releases.ts';

/** `/v1/sites/{site}/{resource}`, what is meant of it, the query. */
const SITE_TARGET = /^\/v1\/sites\/([^/?]*)\/([a-z]+)(\/[^?]*)?(?:\?(.*))?$/;

/** What replicas follow. */
const CHANGES_TARGET = /^\/v1\/changes(?:\?(.*))?$/;

const changesQuerySchema = z.strictObject({
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});

type Resource = (of: Kept, request: SiteRequest) => Promise<Answer>;

/** What the API is of. */
export interface Kept {
  readonly store: ObjectStore;
  readonly releases: Releases;
}

const RESOURCES: Readonly<Record<string, Resource>> = {
  objects: ({ store }, request) => objectsAnswer(store, request),
  versions: ({ store }, request) => versionsAnswer(store, request),
  contents: ({ store }, request) => contentsAnswer(store, request),
  publications: ({ store }, request) => publicationAnswer(store, request),
  holds: ({ store }, request) => holdAnswer(store, request),
  releases: ({ releases }, request) => releaseAnswer(releases, request),
  usage: ({ store }, request) => usageAnswer(store, request),
};

/**
 * The API of what the origin keeps, for those who may publish.
 * @throws CanopyError
 */
export async function apiAnswer(of: Kept, request: ApiRequest): Promise<Answer> {
  const { method, target } = request;
  const changesQuery = CHANGES_TARGET.exec(target);
  if (changesQuery !== null) return changes(of.store, method, changesQuery[1]);
  const [, name, resource = '', rest = '', query] = SITE_TARGET.exec(target) ?? [];
  const answer = Object.hasOwn(RESOURCES, resource) ? RESOURCES[resource] : undefined;
  if (answer === undefined) throw new CanopyError('not-found', `There is no ${target}`);
  return answer(of, { ...request, site: validate(nameSchema, name, 'site'), rest, query });
}

async function usageAnswer(store: ObjectStore, request: SiteRequest): Promise<Answer> {
  const { method, site, rest, target } = request;
  if (rest !== '') throw new CanopyError('not-found', `There is no ${target}`);
  if (method !== 'GET') throw new MethodNotAllowed(method, 'GET');
  return jsonAnswer(200, { ...store.usage(site), ...store.limits(site) });
}

async function changes(
  store: ObjectStore,
  method: string,
  query: string | undefined,
): Promise<Answer> {
  if (method !== 'GET') throw new MethodNotAllowed(method, 'GET');
  const { after, limit } = parseQuery(changesQuerySchema, query);
  const found = await store.changes(after, limit);
  const told = found.map((change) => ({
    ...change,
    object: change.object && {
      etag: change.object.etag,
      size: change.object.size,
      contentType: change.object.contentType,
      cacheControl: change.object.cacheControl ?? null,
    },
  }));
  return jsonAnswer(200, { store: store.id, changes: told });
}
