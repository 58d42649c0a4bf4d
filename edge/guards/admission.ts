import type { Answer } from '#core/cache/answer.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { withoutCookie } from '#core/http/cookies.ts';
import { type Fields, withoutFields } from '#core/http/fields.ts';
import { withoutParameter } from '#core/http/query.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { RequestActions } from '#core/rules/actions.ts';
import type { RequestFacts } from '#core/rules/facts.ts';

/** What is asked of the guards. */
export interface Guarded {
  readonly site: ServedSite;
  readonly facts: RequestFacts;
  readonly actions: RequestActions;
}

interface AdmissionOptions {
  readonly guarded: Guarded;
  /** What answers say of the limits. */
  readonly announced: Fields;
  /** What the request was for is not there. */
  readonly onMissing: () => void;
  readonly onEnd: () => void;
}

/** A request that the guards have let in. */
export class Admission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** The request without what only the guards were to see. */
  request(received: ClientRequest): ClientRequest {
    return withoutCredentials(this.#options.guarded.actions, received);
  }

  /** The answer as the client is to have it. */
  answered(answer: Answer): Answer {
    const { announced, onMissing } = this.#options;
    // What is known not to be there costs nobody anything.
    if (answer.status === 404 && answer.outcome.forwardStatus === 404) onMissing();
    if (announced.length === 0) return answer;
    return { ...answer, fields: [...answer.fields, ...announced] };
  }

  /** Ends what the request had under way once its answer has been sent, or cannot be. */
  during<T>(sending: Promise<T>): Promise<T> {
    return sending.finally(this.#options.onEnd);
  }
}

/** A request without what only the guards are to see. */
export function withoutCredentials(
  { requireSignature, requireToken }: Pick<RequestActions, 'requireSignature' | 'requireToken'>,
  received: ClientRequest,
): ClientRequest {
  if (requireSignature.length === 0 && requireToken.length === 0) return received;
  let { target, fields } = received;
  for (const { settings } of requireSignature) {
    target = withoutParameter(target, settings.name);
    fields = withoutCookie(fields, settings.name);
  }
  for (const { settings } of requireToken) {
    const { from, forward } = settings;
    if (forward) continue;
    if (from === 'header') fields = withoutFields(fields, (name) => name === 'authorization');
    else if ('cookie' in from) fields = withoutCookie(fields, from.cookie);
    else target = withoutParameter(target, from.query);
  }
  return { ...received, target, fields };
}
