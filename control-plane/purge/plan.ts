import { z } from 'zod';
import { type PurgeTarget, purgeModeSchema } from '#core/contract/event.ts';
import { nameSchema } from '#core/contract/names.ts';
import { type InputIssue, InvalidInput } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { readRequest } from '#core/http/request.ts';
import type { SiteDirectory } from '#core/sites.ts';

const purgeUrlsSchema = z.strictObject({
  urls: z.array(z.string().max(16_384)).min(1).max(10_000),
  mode: purgeModeSchema.default('hard'),
});
const purgeSiteSchema = z.strictObject({
  site: nameSchema,
  mode: purgeModeSchema.default('hard'),
});

/** The order of a purge: `{urls, mode?}` or `{site, mode?}`. */
export const purgeRequestSchema = z
  .union([purgeUrlsSchema, purgeSiteSchema])
  .meta({ title: 'purge' });

export type PurgeRequest = z.output<typeof purgeRequestSchema>;

/**
 * What is to be purged, one target per site, in the order in which the sites are first named.
 * @throws InvalidInput naming each URL that no site has; CanopyError `not-found` for an unknown site
 */
export function planPurge(request: PurgeRequest, directory: SiteDirectory): PurgeTarget[] {
  if ('site' in request) {
    if (directory.byName(request.site) === undefined) {
      throw new CanopyError('not-found', `There is no site "${request.site}"`);
    }
    return [{ kind: 'site', site: request.site }];
  }
  const urlsBySite = new Map<string, Set<string>>();
  const issues: InputIssue[] = [];
  for (const [index, text] of request.urls.entries()) {
    const read = readPurgeUrl(text);
    const site = read === undefined ? undefined : directory.byHost(read.host);
    if (read === undefined || site === undefined) {
      const expected =
        read === undefined ? 'an absolute http or https URL' : 'a URL whose host belongs to a site';
      issues.push({ path: `urls.${index}`, expected, received: JSON.stringify(text) });
      continue;
    }
    const urls = urlsBySite.get(site.name) ?? new Set();
    urlsBySite.set(site.name, urls.add(read.url));
  }
  if (issues.length > 0) throw new InvalidInput('purge', issues.slice(0, MOST_ISSUES));
  return [...urlsBySite].map(([site, urls]) => ({ kind: 'urls', site, urls: [...urls] }));
}

/** So that ten thousand bad URLs do not make an answer of megabytes. */
const MOST_ISSUES = 20;

/**
 * A URL as nodes are to be told of it; `undefined` if it is none that they could have stored
 * something under. What a client can send as it stands goes as it stands, for then the node comes
 * to the client's key; what was typed or copied in another spelling goes as a browser would send it.
 */
function readPurgeUrl(text: string): { readonly host: string; readonly url: string } | undefined {
  const withoutFragment = text.split('#', 1)[0] ?? '';
  const parsed = URL.parse(withoutFragment);
  if (parsed === null || parsed.username !== '' || parsed.password !== '') return undefined;
  const local = withoutFragment.replace(/^[^/]*\/\/[^/?]*/, '');
  for (const url of [parsed.origin + local, parsed.href]) {
    const host = hostOf(url);
    if (host !== undefined) return { host, url };
  }
  return undefined;
}

/** Beyond ASCII, octets and characters are not the same. */
const SENDABLE = /^https?:\/\/[\x21-\x7e]+$/i;

function hostOf(url: string): string | undefined {
  if (!SENDABLE.test(url)) return undefined;
  try {
    return readRequest({ method: 'GET', target: url, fields: [], encrypted: false }).host;
  } catch {
    return undefined;
  }
}
