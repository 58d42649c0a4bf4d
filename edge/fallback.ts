import type { Answer } from '#core/cache/answer.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { CanopyError } from '#core/errors.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { isHeld } from '#core/serving/exchange.ts';

/**
 * The answer of another origin than the site's main one; or, where it gives none, that of the main one.
 * @param toMain asks the main one
 */
export async function orElse(
  { upstream }: ServedSite,
  request: ClientRequest,
  carried: Answer | Promise<Answer>,
  toMain: () => Answer | Promise<Answer>,
): Promise<Answer> {
  if (!isRepeatable(request)) return carried;
  try {
    const answer = await carried;
    if (!upstream.failureStatuses.includes(answer.status)) return answer;
    discard(answer);
  } catch (error) {
    if (!(error instanceof CanopyError) || !error.retrySafe || error.side === 'client') throw error;
  }
  return toMain();
}

const isRepeatable = ({ method, hasContent, upgrade }: ClientRequest): boolean =>
  (method === 'GET' || method === 'HEAD') && !hasContent && upgrade === undefined;

/** Gives up the content of an answer that is not sent. */
export function discard({ content }: Pick<Answer, 'content'>): void {
  if (!isHeld(content)) void content[Symbol.asyncIterator]().return?.();
}
