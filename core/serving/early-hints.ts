import { LRUCache } from 'lru-cache';
import { type Fields, fieldLines } from '#core/http/fields.ts';

/** URLs of one thread whose links are remembered. */
const REMEMBERED = 10_000;
/** Characters of links that are worth telling early. */
const LONGEST = 4096;
/** What a client can begin before it has the answer (RFC 8297 §2). */
const USEFUL = /;\s*rel\s*=\s*"?(?:[^"]*\s)?(?:preload|modulepreload|preconnect)\b/i;

/** What answers have linked to, to be told while the next one is fetched. */
export class EarlyHints {
  readonly #links = new LRUCache<string, Fields>({ max: REMEMBERED });

  /** The fields of a 103, if there is anything to tell. */
  of(host: string, target: string): Fields | undefined {
    return this.#links.get(keyOf(host, target));
  }

  /** Remembers what a final answer links to, or that it does no more. */
  learn(host: string, target: string, status: number, fields: Fields): void {
    if (status !== 200) return;
    const links = fieldLines(fields, 'link').filter((link) => USEFUL.test(link));
    const length = links.reduce((sum, link) => sum + link.length, 0);
    if (length === 0 || length > LONGEST) this.#links.delete(keyOf(host, target));
    else {
      this.#links.set(
        keyOf(host, target),
        links.flatMap((link) => ['Link', link]),
      );
    }
  }
}

/** Without the query: of a page with many, the links are the same. */
const keyOf = (host: string, target: string): string => `${host}${target.split('?', 1)[0] ?? ''}`;
