import type { Answer } from '#core/cache/answer.ts';
import { carryOut } from '#core/cache/carry-out.ts';
import type { Lookup } from '#core/cache/engine.ts';
import { CanopyError } from '#core/errors.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { type Exchange, isHeld } from '#core/serving/exchange.ts';
import type { TierNode } from '#core/serving/tier-node.ts';

/**
 * The answer of another origin than the site's main one; or, where it gives none, that of the main one.
 * @param toMain the same request for the main origin, whose objects are its own
 */
export async function orElse(
  { engine }: TierNode,
  exchange: Exchange,
  carried: Answer | Promise<Answer>,
  toMain: Lookup,
): Promise<Answer> {
  if (!isRepeatable(toMain.request)) return carried;
  try {
    const answer = await carried;
    if (!toMain.site.upstream.failureStatuses.includes(answer.status)) return answer;
    discard(answer);
  } catch (error) {
    if (!(error instanceof CanopyError) || !error.retrySafe || error.side === 'client') throw error;
  }
  const found = engine.lookUp(toMain);
  const decision = engine.decide(toMain, found);
  return carryOut({ engine, lookup: toMain, found, decision, exchange });
}

const isRepeatable = ({ method, hasContent, upgrade }: ClientRequest): boolean =>
  (method === 'GET' || method === 'HEAD') && !hasContent && upgrade === undefined;

/** Gives up the content of an answer that is not sent. */
export function discard({ content }: Pick<Answer, 'content'>): void {
  if (!isHeld(content)) void content[Symbol.asyncIterator]().return?.();
}
