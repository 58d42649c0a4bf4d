import type { RewriteAction } from '#core/contract/rules/rewrite.ts';
import { CanopyError } from '#core/errors.ts';
import { pathCaptures } from '#core/http/path-glob.ts';
import { targetFolder } from '#core/http/query.ts';
import { MAX_TARGET_LENGTH } from '#core/http/request.ts';
import { normalizePath } from '#core/http/target.ts';
import { capturesOf } from './captures.ts';
import type { RequestFacts } from './facts.ts';
import { type Values } from './template.ts';
import { urlTemplate } from './url-template.ts';

/**
 * The target in the place of `target`, which is the request's as earlier rules have left it.
 * @throws CanopyError `invalid-request` where a client has it lead out of its place, `uri-too-long`
 */
export type Rewrite = (target: string, request: RequestFacts) => string;

/** Made once, when the rule arrives. */
export function rewriter({ from, to, query }: RewriteAction): Rewrite {
  const captures = from === undefined ? () => [] : pathCaptures(from);
  const pathOf = to === undefined ? undefined : urlTemplate(to);
  const set = Object.entries(query?.set ?? {}).map(
    ([name, text]) => [name, urlTemplate(text)] as const,
  );
  const removed = [...(query?.remove ?? []), ...set.map(([name]) => name)];
  const fold = targetFolder({ exclude: removed }, false);
  const added = (request: RequestFacts, values: Values): string =>
    set.map(([name, value]) => `${name}=${asValue(value(request, values))}`).join('&');
  return (target, request) => {
    const queryAt = target.indexOf('?');
    const path = queryAt === -1 ? target : target.slice(0, queryAt);
    const captured = captures(path);
    if (captured === undefined) return target;
    const values = capturesOf(captured);
    const newPath = pathOf === undefined ? path : checked(pathOf(request, values), request);
    const kept = removed.length === 0 ? target : fold(target);
    const keptAt = kept.indexOf('?');
    const queries = [keptAt === -1 ? '' : kept.slice(keptAt + 1), added(request, values)];
    const newQuery = queries.filter((part) => part !== '').join('&');
    return bounded(newQuery === '' ? newPath : `${newPath}?${newQuery}`);
  };
}

/** What comes of a variable is one value. */
const asValue = (text: string): string => text.replaceAll('&', '%26').replaceAll('#', '%23');

const DOT_SEGMENT = /(?:^|\/)(?:\.|%2E){1,2}(?:\/|$)/i;

/** No client may have a rule lead out of the path that its site has given it. */
function checked(path: string, { target }: RequestFacts): string {
  const normalized = DOT_SEGMENT.test(path) ? undefined : normalizePath(path);
  if (normalized !== undefined) return normalized;
  throw new CanopyError('invalid-request', `The request target cannot be rewritten: ${target}`);
}

function bounded(target: string): string {
  if (target.length <= MAX_TARGET_LENGTH) return target;
  throw new CanopyError(
    'uri-too-long',
    `The rewritten request target has ${target.length} characters, at most ${MAX_TARGET_LENGTH} are passed on`,
  );
}
