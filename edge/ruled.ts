import type { Answer } from '#core/cache/answer.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { CanopyError } from '#core/errors.ts';
import { type Fields, fieldValue } from '#core/http/fields.ts';
import { statedMediaType } from '#core/http/media-type.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { RequestActions } from '#core/rules/actions.ts';
import type { EdgeFunctions } from './functions/functions.ts';
import type { ChangeFields } from '#core/rules/header-changes.ts';
import { type Places, RequestFacts } from '#core/rules/facts.ts';

/** A request that the rules of its site have a say in. */
export class RuledRequest {
  readonly facts: RequestFacts;
  readonly actions: RequestActions;
  readonly site: ServedSite;

  private constructor(site: ServedSite, facts: RequestFacts) {
    this.site = site;
    this.facts = facts;
    this.actions = site.ruleset.forRequest(facts);
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

  /** @throws CanopyError `denied` */
  guard(): void {
    if (this.actions.deny.at(-1) === true) {
      throw new CanopyError('denied', 'The site does not serve this request');
    }
  }

  /**
   * The request as the key and the origin are to see it, or the answer that its function gives.
   * @throws CanopyError `function-failed`
   */
  async change(request: ClientRequest, functions: EdgeFunctions): Promise<ClientRequest | Answer> {
    const { requestHeaders, function: called } = this.actions;
    const fields = changed(request.fields, requestHeaders, this.facts);
    const ruled = fields === request.fields ? request : { ...request, fields };
    return called.length === 0 ? ruled : functions.onRequest(this.site, this, ruled);
  }

  /**
   * The answer as the client is to have it.
   * @throws CanopyError `function-failed`
   */
  shape(
    answer: Answer,
    request: ClientRequest,
    functions: EdgeFunctions,
  ): Answer | Promise<Answer> {
    const { status } = answer;
    const contentType = statedMediaType(fieldValue(answer.fields, 'content-type'));
    const { responseHeaders } = this.site.ruleset.forAnswer(this.facts, { status, contentType });
    const fields = changed(answer.fields, responseHeaders, this.facts);
    const ruled = fields === answer.fields ? answer : { ...answer, fields };
    if (this.actions.function.length === 0) return ruled;
    return functions.onAnswer(this.site, this, request, ruled);
  }
}

const changed = (fields: Fields, by: readonly ChangeFields[], facts: RequestFacts): Fields =>
  by.reduce((before, change) => change(before, facts), fields);
