import { z } from 'zod';
import type { Config } from '#core/contract/event.ts';
import { nameSchema } from '#core/contract/names.ts';
import {
  MAX_PREFIX_SEGMENTS,
  MAX_PURGED_SCOPES,
  MAX_PURGED_URLS,
  type PurgeMode,
  purgeModeSchema,
  type PurgeTarget,
} from '#core/contract/purge.ts';
import type { Site } from '#core/contract/site.ts';
import { type InputIssue, InvalidInput } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { SiteDirectory } from '#core/sites.ts';
import { inTargets, withTwins } from './published.ts';
import { readHost, readPrefix, readUrl } from './spellings.ts';

const common = {
  mode: purgeModeSchema.optional(),
  reason: z.string().min(1).max(1_000).optional(),
  /** Only to be told what it would do. */
  dryRun: z.boolean().optional(),
};
const names = (longest: number) =>
  z.array(z.string().min(1).max(longest)).min(1).max(MAX_PURGED_SCOPES);

/** What a purge request may say, by the field that names what is to be purged. */
const FORMS = {
  urls: z.strictObject({
    urls: z.array(z.string().max(16_384)).min(1).max(MAX_PURGED_URLS),
    ...common,
  }),
  prefixes: z.strictObject({ prefixes: names(16_384), ...common }),
  /** Without a site: of every site. */
  tags: z.strictObject({ tags: names(1_024), site: nameSchema.optional(), ...common }),
  hosts: z.strictObject({ hosts: names(1_024), ...common }),
  everything: z.strictObject({ everything: z.literal(true), ...common }),
  site: z.strictObject({ site: nameSchema, ...common }),
};

type Kind = keyof typeof FORMS;

/** What may hold a whole site is made stale, for an origin may not bear to send all of it anew. */
const DEFAULT_MODES: Record<Kind, PurgeMode> = {
  urls: 'hard',
  prefixes: 'hard',
  tags: 'hard',
  hosts: 'soft',
  everything: 'soft',
  site: 'soft',
};

/**
 * The body of a purge request: one of `urls`, `prefixes`, `tags` (with or without a site), `hosts`,
 * `site` or `everything`; and `mode`, `reason`.
 */
export const purgeRequestSchema = z
  .union([FORMS.urls, FORMS.prefixes, FORMS.tags, FORMS.hosts, FORMS.everything, FORMS.site])
  .meta({ title: 'purge' });

type Asked = z.output<typeof purgeRequestSchema>;

export type PurgeRequest = Asked & { readonly mode: PurgeMode };

/** With the mode that is meant where none is said. */
export function withMode(asked: Asked): PurgeRequest {
  const kind = (Object.keys(FORMS) as Kind[]).find((name) => name in asked) ?? 'urls';
  return { ...asked, mode: asked.mode ?? DEFAULT_MODES[kind] };
}

/** What a request counts for against a rate. */
export function sizeOf(request: PurgeRequest): number {
  if ('urls' in request) return request.urls.length;
  if ('prefixes' in request) return request.prefixes.length;
  if ('tags' in request) return request.tags.length;
  return 'hosts' in request ? request.hosts.length : 1;
}

/**
 * What is to be purged, by site, in the order in which the sites are first named.
 * @param reach sites that may be meant where none is named; `null`: all
 * @throws InvalidInput naming each URL, prefix or host that no site has; CanopyError `not-found` for an unknown site
 */
export function planPurge(
  request: PurgeRequest,
  { sites }: Pick<Config, 'sites'>,
  reach: readonly string[] | null,
): PurgeTarget[] {
  const directory = new SiteDirectory(sites);
  if ('urls' in request) return perSite(directory, 'urls', request.urls, readUrl);
  if ('prefixes' in request) return perSite(directory, 'prefixes', request.prefixes, readPrefix);
  if ('hosts' in request) return perSite(directory, 'hosts', request.hosts, readHost);
  if ('everything' in request) return [{ kind: 'everything' }];
  const { site } = request;
  if (site !== undefined && directory.byName(site) === undefined) {
    throw new CanopyError('not-found', `There is no site "${site}"`);
  }
  if (!('tags' in request)) return [{ kind: 'site', site: request.site }];
  const meant = site === undefined ? sites.map(({ name }) => name) : [site];
  const tags = [...new Set(request.tags)];
  const reached = meant.filter(
    (name) => site !== undefined || reach === null || reach.includes(name),
  );
  if (reached.length === 0) throw new CanopyError('not-found', 'There is no site to purge');
  return reached.map((name) => ({ kind: 'tags', site: name, tags }));
}

/** So that ten thousand bad URLs do not make an answer of megabytes. */
const MOST_ISSUES = 20;

const EXPECTED = {
  urls: ['an absolute http or https URL', 'a URL'],
  prefixes: [
    `a host and a path of at most ${MAX_PREFIX_SEGMENTS} segments, with * only as the last`,
    'a prefix',
  ],
  hosts: ['a host name', 'a name'],
} as const;

/** `host` decides whose it is; `name` is how nodes are to be told of it. */
type Read = (text: string) => { readonly host: string; readonly name: string } | undefined;

function perSite(
  directory: SiteDirectory,
  kind: keyof typeof EXPECTED,
  texts: readonly string[],
  read: Read,
): PurgeTarget[] {
  const bySite = new Map<Site, Set<string>>();
  const issues: InputIssue[] = [];
  const [form, noun] = EXPECTED[kind];
  for (const [index, text] of texts.entries()) {
    const found = read(text);
    const site = found === undefined ? undefined : directory.byHost(found.host);
    if (found === undefined || site === undefined) {
      const expected = found === undefined ? form : `${noun} whose host belongs to a site`;
      issues.push({ path: `${kind}.${index}`, expected, received: JSON.stringify(text) });
      continue;
    }
    bySite.set(site, (bySite.get(site) ?? new Set()).add(found.name));
  }
  if (issues.length > 0) throw new InvalidInput('purge', issues.slice(0, MOST_ISSUES));
  return [...bySite].flatMap(([site, found]) => targetsOf(kind, site, [...found]));
}

function targetsOf(
  kind: keyof typeof EXPECTED,
  { name: site, origin }: Site,
  found: string[],
): PurgeTarget[] {
  if (kind === 'hosts') return [{ kind, site, hosts: found }];
  if (kind === 'prefixes') return [{ kind, site, prefixes: found }];
  return inTargets(site, origin.kind === 'push' ? withTwins(found) : found);
}
