import sax from 'sax';
import { CanopyError } from '#core/errors.ts';
import type { Expand } from './urls.ts';

/** sitemaps.org: a sitemap has at most 50 MiB, uncompressed. */
const MAX_BYTES = 52_428_800;

/** Characters of one text in a sitemap; a URL of more could not be asked for. */
const LONGEST_TEXT = 65_536;

/**
 * Reads a sitemap, an index of sitemaps, or a list of URLs, one a line (sitemaps.org).
 * @throws CanopyError `upstream-invalid` where it is none of these
 */
export const expandSitemap: Expand = async (of, read, found) => {
  const decoder = new TextDecoder();
  let reader: Reader | undefined;
  for await (const chunk of read(of, MAX_BYTES)) {
    const text = decoder.decode(chunk, { stream: true });
    const begins = reader === undefined ? text.replace(/^\uFEFF/, '').trimStart() : text;
    if (begins === '') continue;
    reader ??= begins.startsWith('<') ? new SitemapReader(of.url, found) : new ListReader(found);
    reader.write(begins);
  }
  reader?.end();
  return reader?.sitemaps ?? [];
};

interface Reader {
  readonly sitemaps: readonly string[];
  write(text: string): void;
  end(): void;
}

class SitemapReader implements Reader {
  readonly sitemaps: string[] = [];
  readonly #url: string;
  readonly #parser = sax.createStream(true, { position: false });
  #failure: Error | undefined;

  constructor(url: string, found: (url: string) => void) {
    this.#url = url;
    /** Names of the elements that are open. */
    const path: string[] = [];
    let text = '';
    const read = (more: string): void => {
      if (text.length <= LONGEST_TEXT) text += more;
    };
    this.#parser
      .on('opentag', ({ name }) => {
        path.push(name);
        text = '';
      })
      .on('text', read)
      .on('cdata', read)
      .on('closetag', () => {
        // A prefix has to be the parent's too, for an image has a `loc` of another namespace.
        const [parent = '', own = ''] = path.slice(-2);
        const prefix = parent.includes(':') ? parent.slice(0, parent.indexOf(':') + 1) : '';
        const isPlace = own === `${prefix}loc`;
        if (isPlace && parent === `${prefix}url`) found(text.trim());
        if (isPlace && parent === `${prefix}sitemap`) this.sitemaps.push(text.trim());
        path.pop();
        text = '';
      })
      .on('error', (error) => (this.#failure = error));
  }

  write(text: string): void {
    this.#parser.write(text);
    this.#assertGood();
  }

  end(): void {
    this.#parser.end();
    this.#assertGood();
  }

  #assertGood(): void {
    if (this.#failure === undefined) return;
    const [why] = this.#failure.message.split('\n');
    throw new CanopyError('upstream-invalid', `${this.#url} is no sitemap: ${why}`);
  }
}

class ListReader implements Reader {
  readonly sitemaps: readonly string[] = [];
  readonly #found: (url: string) => void;
  #rest = '';

  constructor(found: (url: string) => void) {
    this.#found = found;
  }

  write(text: string): void {
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = (lines.pop() ?? '').slice(0, LONGEST_TEXT);
    for (const line of lines) this.#take(line);
  }

  end(): void {
    this.#take(this.#rest);
  }

  #take(line: string): void {
    if (line.trim() !== '') this.#found(line.trim());
  }
}
