import type { ClientAsked, Explained } from '#core/contract/explain.ts';
import type { TierExplainer } from '#core/explain/between-tiers.ts';
import { explanationLine } from '#core/explain/line.ts';
import { EXPLAIN_FIELD, EXPLAINED_FIELD, mayExplain } from '#core/explain/token.ts';
import { askUp } from '#core/explain/up.ts';
import { CanopyError } from '#core/errors.ts';
import { type Fields, fieldValue, hasField, withoutFields } from '#core/http/fields.ts';
import { readRequest } from '#core/http/request.ts';
import { sealKeysOf } from '#core/latency/seal.ts';
import type { Exchange } from '#core/serving/exchange.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { isTierField } from '#core/tree/tier-fields.ts';

const FIELD = EXPLAIN_FIELD.toLowerCase();

/** Told to a client: nothing. */
const NOTHING: Fields = [];

export interface Telling {
  readonly node: TierNode;
  readonly others: Pick<TierExplainer, 'ask'>;
  /** What this node would do, all its threads together. */
  readonly explain: (asked: ClientAsked) => Promise<Explained>;
}

/** Whether a client asks to be told what becomes of its request. */
export const wantsToBeTold = ({ received }: Pick<Exchange, 'received'>): boolean =>
  hasField(received.fields, FIELD);

/**
 * What every tier on the way of a request would do with it, a field line each, for a client with a
 * token of the site. To be asked for before the request is answered, which changes things.
 * @returns nothing for anybody else
 */
export async function explainedFields(
  { node, others, explain }: Telling,
  exchange: Pick<Exchange, 'received' | 'peerAddress'>,
): Promise<Fields> {
  const asked = askedBy(node, exchange);
  if (asked === undefined) return NOTHING;
  const lines: string[] = [];
  await askUp(node.name, asked, async (name, question) => {
    const isOwn = name === node.name;
    const explained = isOwn ? await explain(asked) : await others.ask(node.config, name, question);
    lines.push(
      explained === undefined
        ? JSON.stringify({
            node: name,
            because: 'it has not told in time, or is of an older version',
          })
        : explanationLine(explained.explanation, isOwn ? node.siblings.slot : undefined),
    );
    return explained;
  });
  return lines.flatMap((line) => [EXPLAINED_FIELD, line]);
}

/** @returns `undefined`: who asks may not be told, or has not sent what could be explained */
function askedBy(
  { sites, config, clock, trustedProxies }: TierNode,
  { received, peerAddress }: Pick<Exchange, 'received' | 'peerAddress'>,
): ClientAsked | undefined {
  try {
    const request = readRequest(received);
    const site = sites.byHost(request.host)?.name;
    const token = fieldValue(received.fields, FIELD) ?? '';
    const keys = sealKeysOf(config.network);
    if (site === undefined || !mayExplain(keys, token, site, clock.now())) return undefined;
    const { method, authority, target, fields } = request;
    const { address, scheme } = trustedProxies.client(peerAddress, received.fields);
    return {
      as: 'client',
      method,
      scheme: scheme ?? request.scheme,
      authority,
      target,
      fields: withoutFields(fields, (name) => name === 'host' || isTierField(name)),
      address,
    };
  } catch (error) {
    if (error instanceof CanopyError) return undefined;
    throw error;
  }
}
