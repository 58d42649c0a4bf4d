import type { Site } from '#core/contract/site.ts';
import { MAX_PUSH_URLS } from '#core/contract/push.ts';
import { type InputIssue, InvalidInput } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import type { SiteDirectory } from '#core/sites.ts';
import { readUrl } from '../purge/spellings.ts';
import { expandManifest } from './manifest.ts';
import type { PushOrder } from './plan.ts';
import { expandSitemap } from './sitemap.ts';

/** What is to be pushed. */
export interface PushedUrls {
  /** In the order in which they were found, each once. */
  readonly urls: readonly string[];
  /** Names of their sites. */
  readonly sites: readonly string[];
  /** Found in sitemaps and manifests, but of none of the sites that may be meant. */
  readonly skipped: number;
}

/** A URL of a site of the network. */
export interface SiteUrl {
  readonly site: Site;
  readonly url: string;
}

/** Reads a document through the network's tree; its content undone of gzip. */
export type ReadDocument = (of: SiteUrl, maxBytes: number) => AsyncIterable<Buffer>;

/** Documents that the sources of one push may come to. */
const MAX_DOCUMENTS = 1_000;
/** So that ten thousand bad URLs do not make an answer of megabytes. */
const MOST_ISSUES = 20;

/**
 * The URLs of a push, with what its sitemaps and manifests name.
 * @param reaches whether whoever orders it may push of a site
 * @throws InvalidInput naming each given URL that no site has; CanopyError `forbidden`,
 * `content-too-large`, and what reading a source fails with
 */
export async function collectUrls(
  order: Pick<PushOrder, 'urls' | 'sitemaps' | 'manifests'>,
  directory: SiteDirectory,
  reaches: (site: string) => boolean,
  read: ReadDocument,
): Promise<PushedUrls> {
  const given = (['urls', 'sitemaps', 'manifests'] as const).map((kind) =>
    resolve(kind, order[kind], directory),
  );
  const [urls = [], sitemaps = [], manifests = []] = given;
  for (const { site } of given.flat()) {
    if (reaches(site.name)) continue;
    throw new CanopyError('forbidden', `The token does not extend to site "${site.name}"`);
  }
  const collected = new Collected(directory, reaches);
  for (const found of urls) collected.add(found);
  for (const [sources, expand] of [
    [sitemaps, expandSitemap],
    [manifests, expandManifest],
  ] as const) {
    for (const source of sources) await collected.expand(source, expand, read);
  }
  return collected.all();
}

/**
 * Reads one document.
 * @param found called with each object that it names
 * @returns the documents that it names, in turn to be read
 */
export type Expand = (
  of: SiteUrl,
  read: ReadDocument,
  found: (url: string) => void,
) => Promise<readonly string[]>;

class Collected {
  readonly #directory: SiteDirectory;
  readonly #reaches: (site: string) => boolean;
  readonly #urls = new Set<string>();
  readonly #sites = new Set<string>();
  readonly #documents = new Set<string>();
  #skipped = 0;

  constructor(directory: SiteDirectory, reaches: (site: string) => boolean) {
    this.#directory = directory;
    this.#reaches = reaches;
  }

  add({ site, url }: SiteUrl): void {
    this.#urls.add(url);
    this.#sites.add(site.name);
    if (this.#urls.size <= MAX_PUSH_URLS) return;
    throw new CanopyError('content-too-large', `A push has at most ${MAX_PUSH_URLS} URLs`);
  }

  async expand(source: SiteUrl, expand: Expand, read: ReadDocument): Promise<void> {
    const waiting = [source];
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (this.#documents.has(next.url)) continue;
      this.#documents.add(next.url);
      if (this.#documents.size > MAX_DOCUMENTS) {
        throw new CanopyError('content-too-large', `A push reads at most ${MAX_DOCUMENTS} sources`);
      }
      const further = await expand(next, read, (url) => {
        const found = this.#ours(url);
        if (found !== undefined) this.add(found);
      });
      waiting.push(...further.flatMap((url) => this.#ours(url) ?? []));
    }
  }

  all(): PushedUrls {
    if (this.#urls.size === 0) {
      throw new CanopyError('invalid-input', 'The sources name no URL of the network’s sites');
    }
    return { urls: [...this.#urls], sites: [...this.#sites], skipped: this.#skipped };
  }

  #ours(text: string): SiteUrl | undefined {
    const found = siteUrl(text, this.#directory);
    if (typeof found !== 'string' && this.#reaches(found.site.name)) return found;
    this.#skipped += 1;
    return undefined;
  }
}

function resolve(kind: string, texts: readonly string[], directory: SiteDirectory): SiteUrl[] {
  const issues: InputIssue[] = [];
  const found: SiteUrl[] = [];
  for (const [index, text] of texts.entries()) {
    const one = siteUrl(text, directory);
    if (typeof one !== 'string') found.push(one);
    else issues.push({ path: `${kind}.${index}`, expected: one, received: JSON.stringify(text) });
  }
  if (issues.length > 0) throw new InvalidInput('push', issues.slice(0, MOST_ISSUES));
  return found;
}

/** @returns what was expected, where it is none */
function siteUrl(text: string, directory: SiteDirectory): SiteUrl | string {
  const read = readUrl(text);
  if (read === undefined) return 'an absolute http or https URL';
  const site = directory.byHost(read.host);
  return site === undefined ? 'a URL whose host belongs to a site' : { site, url: read.name };
}
