import type { Answer } from '#core/cache/answer.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { CanopyError } from '#core/errors.ts';
import { fieldValue } from '#core/http/fields.ts';
import { statedMediaType } from '#core/http/media-type.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { RequestActions } from '#core/rules/actions.ts';
import { type Places, RequestFacts } from '#core/rules/facts.ts';

/** A request that the rules of its site have a say in. */
export class RuledRequest {
  readonly facts: RequestFacts;
  readonly actions: RequestActions;
  readonly #site: ServedSite;

  private constructor(site: ServedSite, facts: RequestFacts) {
    this.#site = site;
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

  /** The request as the key and the origin are to see it. */
  changed(request: ClientRequest): ClientRequest {
    const { requestHeaders } = this.actions;
    if (requestHeaders.length === 0) return request;
    const change = (fields: ClientRequest['fields'], by: (typeof requestHeaders)[number]) =>
      by(fields, this.facts);
    return { ...request, fields: requestHeaders.reduce(change, request.fields) };
  }

  shape(answer: Answer): Answer {
    const { status, fields } = answer;
    const contentType = statedMediaType(fieldValue(fields, 'content-type'));
    const { responseHeaders } = this.#site.ruleset.forAnswer(this.facts, { status, contentType });
    if (responseHeaders.length === 0) return answer;
    return {
      ...answer,
      fields: responseHeaders.reduce((changed, by) => by(changed, this.facts), fields),
    };
  }
}
