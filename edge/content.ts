import type { ServedSite } from '#core/cache/served-site.ts';
import { contentLength } from '#core/http/length.ts';
import { tooLarge } from '#core/serving/clients/content-pace.ts';
import type { Exchange } from '#core/serving/exchange.ts';

/**
 * Has a request bring no more content than its site takes.
 * @throws CanopyError `content-too-large` where it says beforehand that it is more
 */
export function limitContent(
  { limits: { maxContentBytes } }: ServedSite,
  exchange: Exchange,
): void {
  if (maxContentBytes === null) return;
  const { fields } = exchange.received;
  if ((contentLength(fields) ?? 0) > maxContentBytes) throw tooLarge(maxContentBytes);
  exchange.limitContent(maxContentBytes);
}
