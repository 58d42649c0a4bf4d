import type { Answer } from '#core/cache/answer.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { OwnAnswer } from '#core/rules/own-answer.ts';
import { REFUSED } from '#core/serving/deliver.ts';

/** What a rule answers in the site's place, as it is sent. */
export function answerOf(own: OwnAnswer, { method }: Pick<ClientRequest, 'method'>): Answer {
  const body = Buffer.from(own.body);
  const isEmpty = method === 'HEAD' || body.length === 0;
  return {
    status: own.status,
    fields: hasNoContent(own.status)
      ? own.fields
      : [...own.fields, 'Content-Length', String(body.length)],
    content: isEmpty ? [] : [body],
    outcome: { ...REFUSED, detail: own.detail },
    asOf: 0,
  };
}

/** RFC 9110 §8.6: an answer that can have no content has no length. */
const hasNoContent = (status: number): boolean => status === 204 || status === 304;
