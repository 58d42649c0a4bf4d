import type { OriginChoice } from '#core/contract/rules/origin-choice.ts';
import type { AnswerAction, RequestAction, Rule } from '#core/contract/rules/rule.ts';
import { corsOf } from './cors.ts';
import { errorPageOf } from './error-page.ts';
import { hotlinkTest } from './guards/hotlink.ts';
import { concurrencyLimiter, lookupLimiter, rateLimiter } from './guards/limits.ts';
import { signedRequirement } from './guards/signed-url.ts';
import { tokenRequirement } from './guards/token.ts';
import { fieldsChanger } from './header-changes.ts';
import { redirector } from './redirect.ts';
import { responder } from './respond.ts';
import { rewriter } from './rewrite.ts';
import { securityHeadersOf } from './security-headers.ts';

type Makers<A extends RequestAction | AnswerAction> = {
  readonly [K in A]: (value: NonNullable<Rule[K]>) => unknown;
};
type Made<M> = {
  readonly [K in keyof M]: M[K] extends (value: never) => infer Result ? readonly Result[] : never;
};

/** What is made of each action when its rule arrives, so that nothing is left to a request but to do it. */
export const REQUEST_ACTIONS = {
  deny: (isDenied: boolean) => isDenied,
  hotlink: hotlinkTest,
  rateLimit: rateLimiter,
  concurrency: concurrencyLimiter,
  negativeLookups: lookupLimiter,
  requireSignature: signedRequirement,
  requireToken: tokenRequirement,
  requestHeaders: fieldsChanger,
  cors: corsOf,
  respond: responder,
  redirect: redirector,
  rewrite: rewriter,
  origin: (choice: OriginChoice) => choice,
  compress: (isCompressed: boolean) => isCompressed,
  function: (name: string) => name,
} satisfies Makers<RequestAction>;

export const ANSWER_ACTIONS = {
  responseHeaders: fieldsChanger,
  securityHeaders: securityHeadersOf,
  errorPage: errorPageOf,
} satisfies Makers<AnswerAction>;

/** What the rules that matched say, action by action, in the order of the rules. */
export type RequestActions = Made<typeof REQUEST_ACTIONS>;
export type AnswerActions = Made<typeof ANSWER_ACTIONS>;
