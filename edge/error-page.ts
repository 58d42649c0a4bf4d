import type { Answer } from '#core/cache/answer.ts';
import { carryOut } from '#core/cache/carry-out.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { CONDITIONAL, type Fields, fieldValue, withoutFields } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { ErrorFacts, ErrorPage } from '#core/rules/error-page.ts';
import { clientLookup } from '#core/serving/client-lookup.ts';
import type { Exchange } from '#core/serving/exchange.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { discard } from './fallback.ts';
import type { RuledRequest } from './ruled.ts';

/** What describes the content, and not the error. */
const OF_CONTENT: ReadonlySet<string> = new Set([
  'accept-ranges',
  'content-digest',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-range',
  'content-type',
  'etag',
  'last-modified',
  'repr-digest',
]);
const KEPT_OF_PAGE = ['Content-Type', 'Content-Language', 'Content-Encoding', 'Content-Length'];

type Said = Pick<Answer, 'fields' | 'content'>;

/**
 * An error under the page that a rule has for it, or as it is.
 * @param received the request as the client sent it
 */
export async function withErrorPage(
  edge: TierNode,
  exchange: Exchange,
  received: ClientRequest,
  ruled: RuledRequest,
  answer: Answer,
  code: ErrorFacts['code'],
): Promise<Answer> {
  const error = { status: answer.status, code };
  const page = ruled.errorPage(answer, error);
  if (page === undefined) return answer;
  const said =
    (await fetched(edge, exchange, ruled.main, received, page)) ?? inline(page, error, ruled.facts);
  if (said === undefined) return answer;
  discard(answer);
  const isHead = received.method === 'HEAD';
  if (isHead) discard(said);
  return {
    ...answer,
    fields: [...withoutFields(answer.fields, (name) => OF_CONTENT.has(name)), ...said.fields],
    content: isHead ? [] : said.content,
  };
}

function inline(
  { body, contentType }: ErrorPage,
  error: ErrorFacts,
  facts: RuledRequest['facts'],
): Said | undefined {
  if (body === undefined) return undefined;
  const content = Buffer.from(body(error, facts));
  return {
    fields: ['Content-Type', contentType, 'Content-Length', String(content.length)],
    content: content.length === 0 ? [] : [content],
  };
}

/** The page as the site's main origin has it; `undefined` where it cannot be had. */
async function fetched(
  edge: TierNode,
  exchange: Exchange,
  site: ServedSite,
  received: ClientRequest,
  { target }: ErrorPage,
): Promise<Said | undefined> {
  if (target === undefined) return undefined;
  const { engine } = edge;
  const request: ClientRequest = {
    ...received,
    method: 'GET',
    target,
    // It is asked for as itself, and not for how the client has asked for something else.
    fields: withoutFields(
      received.fields,
      (name) => CONDITIONAL.has(name) || NOT_OF_PAGE.has(name),
    ),
    hasContent: false,
    upgrade: undefined,
    expectsContinue: false,
  };
  const country = (): string =>
    edge.countryOf(fieldValue(received.fields, 'x-forwarded-for') ?? '');
  try {
    const lookup = clientLookup(edge, NOBODY, request, site, country);
    const found = engine.lookUp(lookup);
    const decision = engine.decide(lookup, found);
    const page = await carryOut({ engine, lookup, found, decision, exchange });
    if (page.status === 200) return { fields: ofPage(page.fields), content: page.content };
    discard(page);
  } catch {
    // The error itself is what the client is to hear of.
  }
  return undefined;
}

const NOBODY = { inform: (): void => undefined };
const NOT_OF_PAGE: ReadonlySet<string> = new Set([
  'authorization',
  'cache-control',
  'content-length',
  'content-type',
  'pragma',
]);

const ofPage = (fields: Fields): Fields =>
  KEPT_OF_PAGE.flatMap((name) => {
    const value = fieldValue(fields, name.toLowerCase());
    return value === undefined ? [] : [name, value];
  });
