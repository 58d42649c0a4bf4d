import type { RespondAction } from '#core/contract/rules/respond.ts';
import type { RequestFacts } from './facts.ts';
import type { OwnAnswer } from './own-answer.ts';
import { templateOf } from './template.ts';
import { textTemplate } from './text-template.ts';

export type Respond = (request: RequestFacts) => OwnAnswer;

/** Made once, when the rule arrives. */
export function responder(action: RespondAction): Respond {
  const { status, contentType, retryAfterSeconds } = action;
  const body = textTemplate(action.body, contentType);
  const headers = Object.entries(action.headers).map(
    ([name, text]) => [name, templateOf(text)] as const,
  );
  const fixed = [
    ...(action.body === '' ? [] : ['Content-Type', contentType]),
    ...(retryAfterSeconds === undefined ? [] : ['Retry-After', String(retryAfterSeconds)]),
    ...(Object.keys(action.headers).some((name) => name.toLowerCase() === 'cache-control')
      ? []
      : ['Cache-Control', 'no-store']),
  ];
  return (request) => ({
    status,
    fields: [...fixed, ...headers.flatMap(([name, value]) => [name, value(request)])],
    body: body(request),
    detail: 'respond',
  });
}
