import type { Answer } from '#core/cache/answer.ts';
import { type ServedSite, siteAt } from '#core/cache/served-site.ts';
import { CanopyError } from '#core/errors.ts';
import { fieldValue, withoutFields } from '#core/http/fields.ts';
import { statedMediaType } from '#core/http/media-type.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { AnswerActions, RequestActions } from '#core/rules/actions.ts';
import { type Places, RequestFacts } from '#core/rules/facts.ts';
import type { ErrorFacts, ErrorPage } from '#core/rules/error-page.ts';
import { givingCookies } from '#core/rules/given-cookies.ts';
import type { OwnAnswer } from '#core/rules/own-answer.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import type { EdgeFunctions } from './functions/functions.ts';

const ORIGIN = TIER_FIELDS.origin.toLowerCase();

type Headed = Pick<Answer, 'status' | 'fields'>;

/** A request that the rules of its site have a say in. */
export class RuledRequest {
  readonly facts: RequestFacts;
  readonly actions: RequestActions;
  /** The site with its main origin. */
  readonly main: ServedSite;
  /** The site with the origin that the rules choose. */
  readonly site: ServedSite;

  private constructor(site: ServedSite, facts: RequestFacts) {
    this.facts = facts;
    this.main = site;
    this.actions = site.ruleset.forRequest(facts);
    this.site = siteAt(site, this.actions.origin.at(-1)?.name) ?? site;
  }

  /** `undefined` where the site has no rules but for what is stored. */
  static of(
    site: ServedSite,
    request: ClientRequest,
    address: string,
    places: Places,
  ): RuledRequest | undefined {
    if (site.ruleset.isIdle) return undefined;
    return new RuledRequest(site, new RequestFacts(request, address, places));
  }

  /** @param facts of which some may be forbidden to ask for, see `urlFacts` */
  static by(site: ServedSite, facts: RequestFacts): RuledRequest {
    return new RuledRequest(site, facts);
  }

  /** Whether the rules shape the answer, count the request by at most one rate, and do nothing else. */
  get isSimple(): boolean {
    const { rateLimit, ...others } = this.actions;
    const isCounted = rateLimit.length === 1 && rateLimit[0]?.needsToken === false;
    return (
      (rateLimit.length === 0 || isCounted) &&
      Object.values(others).every((said) => said.length === 0)
    );
  }

  /** @throws CanopyError `denied` */
  guard(): void {
    if (this.actions.deny.at(-1) === true) {
      throw new CanopyError('denied', 'The site does not serve this request');
    }
  }

  /** The answer to a preflight (Fetch §3.2.2), if it is one. */
  preflight(): OwnAnswer | undefined {
    return this.actions.cors.at(-1)?.preflight(this.facts);
  }

  /** What is answered in the site's place, if anything is; of several of a kind the last one says it. */
  ownAnswer(): OwnAnswer | undefined {
    const { respond, redirect } = this.actions;
    const said = respond.at(-1)?.(this.facts);
    if (said !== undefined) return said;
    return redirect.reduce<OwnAnswer | undefined>(
      (earlier, leads) => leads(this.facts) ?? earlier,
      undefined,
    );
  }

  /**
   * The request as the key and the origin are to see it.
   * @throws CanopyError where it cannot be rewritten, see `Rewrite`
   */
  changed(request: ClientRequest): ClientRequest {
    const { requestHeaders, rewrite } = this.actions;
    const { originName } = this.site;
    if (requestHeaders.length === 0 && rewrite.length === 0 && originName === undefined) {
      return request;
    }
    const chosen = originName === undefined ? [] : [TIER_FIELDS.origin, originName];
    return {
      ...request,
      target: rewrite.reduce((target, to) => to(target, this.facts), request.target),
      fields: [
        ...requestHeaders.reduce((fields, by) => by(fields, this.facts), request.fields),
        ...chosen,
      ],
    };
  }

  /**
   * The request as the key and the origin are to see it, or the answer that its function gives.
   * @throws CanopyError `function-failed`, and as `changed` does
   */
  change(
    request: ClientRequest,
    functions: EdgeFunctions,
  ): ClientRequest | Promise<ClientRequest | Answer> {
    const ruled = this.changed(request);
    if (this.actions.function.length === 0) return ruled;
    return functions.onRequest(this.site, this, ruled);
  }

  get mayCompress(): boolean {
    return this.actions.compress.at(-1) ?? true;
  }

  /** Whether the main origin stands in for the chosen one where that fails. */
  get fallsBack(): boolean {
    return this.site.originName !== undefined && this.actions.origin.at(-1)?.fallback === true;
  }

  /** A changed request as it goes to the main origin. */
  static toMain(request: ClientRequest): ClientRequest {
    const fields = withoutFields(request.fields, (name) => name === ORIGIN);
    return { ...request, fields };
  }

  /** Header rules come last: they have the last word. */
  shape<A extends Headed>(answer: A): A {
    const cors = this.actions.cors.at(-1);
    const { securityHeaders, responseHeaders } = this.#actionsOn(answer);
    const changes = [
      ...securityHeaders,
      ...(cors === undefined ? [] : [cors.shape]),
      ...responseHeaders,
      ...(this.facts.givenCookies === undefined ? [] : [givingCookies]),
    ];
    if (changes.length === 0) return answer;
    return {
      ...answer,
      fields: changes.reduce((changed, by) => by(changed, this.facts), answer.fields),
    };
  }

  /**
   * The answer as the client is to have it: shaped, and as its function wants it.
   * @throws CanopyError `function-failed`
   */
  finish(
    answer: Answer,
    request: ClientRequest,
    functions: EdgeFunctions,
  ): Answer | Promise<Answer> {
    const shaped = this.shape(answer);
    if (this.actions.function.length === 0) return shaped;
    return functions.onAnswer(this.site, this, request, shaped);
  }

  /** The page that is shown in place of an error, if one is; of several the last that suits. */
  errorPage(answer: Headed, error: ErrorFacts): ErrorPage | undefined {
    const { errorPage } = this.#actionsOn(answer);
    return errorPage.findLast((page) => page.suits(error, this.facts));
  }

  #actionsOn({ status, fields }: Headed): AnswerActions {
    const contentType = statedMediaType(fieldValue(fields, 'content-type'));
    return this.site.ruleset.forAnswer(this.facts, { status, contentType });
  }
}
