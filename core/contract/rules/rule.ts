import { z } from 'zod';
import { cacheOverridesSchema } from '../cache-settings.ts';
import { corsSchema } from './cors.ts';
import { errorPageSchema } from './error-page.ts';
import { nameSchema } from '../names.ts';
import { guardActionsShape } from './guards.ts';
import { headerChangesSchema } from './headers.ts';
import { ANSWER_CONDITIONS, matchSchema, OBJECT_CONDITIONS } from './match.ts';
import { originChoiceSchema } from './origin-choice.ts';
import { redirectSchema } from './redirect.ts';
import { respondSchema } from './respond.ts';
import { rewriteSchema } from './rewrite.ts';
import { securityHeadersSchema } from './security-headers.ts';

/** What edges do before they look into their cache. */
export const requestActionsShape = {
  /** Refuse the request by 403; `false`: what an earlier rule refused is allowed. */
  deny: z.boolean().exactOptional(),
  ...guardActionsShape,
  /** Of the request as the cache's key, and the origin, see it. */
  requestHeaders: headerChangesSchema.exactOptional(),
  /** Answer browsers that ask before a page's request, and say in every answer what pages may do with it. */
  cors: corsSchema.exactOptional(),
  /** Answer in place of the site. */
  respond: respondSchema.exactOptional(),
  redirect: redirectSchema.exactOptional(),
  rewrite: rewriteSchema.exactOptional(),
  origin: originChoiceSchema.exactOptional(),
  /** `false`: answers are not compressed, where the site compresses any. */
  compress: z.boolean().exactOptional(),
  /** One of the site's `functions` is asked about the request, and about its answer. */
  function: nameSchema.exactOptional(),
};

/** What edges do to an answer, wherever it comes from, before the client has it. */
export const answerActionsShape = {
  responseHeaders: headerChangesSchema.exactOptional(),
  securityHeaders: securityHeadersSchema.exactOptional(),
  errorPage: errorPageSchema.exactOptional(),
};

/** What every tier heeds when it stores and judges an object. */
export const objectActionsShape = {
  cache: cacheOverridesSchema.exactOptional(),
};

const ACTIONS = { ...requestActionsShape, ...answerActionsShape, ...objectActionsShape };

/** What is to be done about the requests, answers or objects that it matches. */
export const ruleSchema = z
  .strictObject({
    /** For people, and for what tells which rules matched. */
    name: z.string().min(1).max(64).exactOptional(),
    /** Left out: all. */
    match: matchSchema.exactOptional(),
    ...ACTIONS,
  })
  .superRefine((rule, context) => {
    const actions = Object.keys(rule).filter((key) => key in ACTIONS);
    if (actions.length === 0) {
      const message = `at least one of ${Object.keys(ACTIONS).join(', ')}`;
      context.addIssue({ code: 'custom', path: [], message });
    }
    const stated = new Set(Object.keys({ ...rule.match, ...rule.match?.not }));
    stated.delete('not');
    for (const action of actions) {
      const unknown = [...stated].find((condition) => !isKnownTo(action, condition));
      if (unknown === undefined) continue;
      const path = ['match', ...(rule.match !== undefined && unknown in rule.match ? [] : ['not'])];
      const message = `no condition that ${action} is decided without`;
      context.addIssue({ code: 'custom', path: [...path, unknown], message });
    }
  });

/** All that match apply, in their order. */
export const rulesSchema = z.array(ruleSchema).max(1000).default([]);

/** Whether a condition can be told when the action is decided. */
function isKnownTo(action: string, condition: string): boolean {
  if (action in objectActionsShape) return OBJECT_CONDITIONS.includes(condition as never);
  return !(action in requestActionsShape) || !ANSWER_CONDITIONS.includes(condition as never);
}

export type Rule = z.output<typeof ruleSchema>;
export type RequestAction = keyof typeof requestActionsShape;
export type AnswerAction = keyof typeof answerActionsShape;
