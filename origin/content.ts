import { CanopyError, MethodNotAllowed } from '#core/errors.ts';
import type { Fields } from '#core/http/fields.ts';
import { type Answer, objectAnswer } from './answer.ts';
import type { ObjectStore } from './object-store.ts';

export interface ContentRequest {
  readonly method: string;
  readonly site: string;
  /** Normalised. */
  readonly path: string;
  readonly fields: Fields;
  /** Wall time, ms since the Unix epoch. */
  readonly now: number;
}

/** Served for a path that ends in a slash and has no object of its own. */
const INDEX = 'index.html';

/** Replacements in a row that a read puts up with. */
const MAX_READS = 10;

/**
 * The content at a path.
 * @throws CanopyError `not-found`, `method-not-allowed`
 */
export async function contentAnswer(store: ObjectStore, request: ContentRequest): Promise<Answer> {
  const { method, path } = request;
  if (method !== 'GET' && method !== 'HEAD') throw new MethodNotAllowed(method, 'GET, HEAD');
  const paths = path.endsWith('/') ? [path, path + INDEX] : [path];
  return storedAnswer(store, request, paths);
}

/** The first object that there is among `paths`. */
export async function storedAnswer(
  store: ObjectStore,
  request: ContentRequest,
  paths: readonly string[],
): Promise<Answer> {
  const { site } = request;
  for (let reads = 0; reads < MAX_READS; reads++) {
    const object = await firstOf(store, site, paths);
    if (object === undefined) throw new CanopyError('not-found', `${site} has no ${request.path}`);
    const answer = await objectAnswer(store, object, request);
    if (answer !== undefined) return answer;
  }
  throw new CanopyError('unavailable', `${request.path} is replaced faster than it can be read`);
}

async function firstOf(store: ObjectStore, site: string, paths: readonly string[]) {
  for (const path of paths) {
    const object = await store.find(site, path);
    if (object !== undefined) return object;
  }
  return undefined;
}
