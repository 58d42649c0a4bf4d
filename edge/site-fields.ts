import type { Answer } from '#core/cache/answer.ts';
import type { Decision } from '#core/cache/policy/decide.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { Exchange } from '#core/serving/exchange.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { clientFields } from './client-fields.ts';

/** While the client waits for a parent, it may fetch what this page linked to before. */
export function hint(
  { earlyHints }: TierNode,
  exchange: Exchange,
  { method, host, target }: ClientRequest,
  { action }: Decision,
): void {
  if (method !== 'GET' || action === 'serve') return;
  const links = earlyHints.of(host, target);
  if (links !== undefined) exchange.inform(103, links);
}

/** An answer with the fields that the site's settings want, and without those that they do not. */
export function ourFields(
  { earlyHints }: TierNode,
  site: ServedSite,
  { scheme, host, target }: ClientRequest,
  answer: Answer,
): Answer {
  if (site.tls.earlyHints) earlyHints.learn(host, target, answer.status, answer.fields);
  const fields = clientFields(site, scheme, answer.fields);
  return fields === answer.fields ? answer : { ...answer, fields };
}
