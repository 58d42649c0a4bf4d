import type { Hotlink } from '#core/contract/rules/guards.ts';
import { fieldValue } from '#core/http/fields.ts';
import { hostTest } from '../conditions.ts';
import type { RequestFacts } from '../facts.ts';

/** Whether the page that a request comes from may embed what it asks for. */
export type MayEmbed = (request: RequestFacts, isOwn: (host: string) => boolean) => boolean;

/** The page is known by `Referer` (RFC 9110 §10.1.3), else by `Origin` (RFC 6454 §7). */
export function hotlinkTest({ allow, allowEmpty }: Hotlink): MayEmbed {
  const tests = allow.map(hostTest);
  return ({ fields, host: asked }, isOwn) => {
    const page = fieldValue(fields, 'referer') ?? fieldValue(fields, 'origin');
    if (page === undefined || page === '') return allowEmpty;
    const host = URL.canParse(page) ? new URL(page).hostname : '';
    // RFC 6454 §7.3: `null` is the origin of pages that keep theirs to themselves.
    if (host === '') return page === 'null' && allowEmpty;
    return host === asked || isOwn(host) || tests.some((test) => test(host));
  };
}
