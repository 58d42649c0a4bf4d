import type { Clock } from '#core/clock.ts';
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

/** Requests of one thread that are explained at a time: to go over what is stored is work. */
const MOST_AT_ONCE = 4;

/** How long the threads of this node are waited for. */
const PATIENCE_MS = 2_000;

/** Whether a client asks to be told what becomes of its request. */
export const wantsToBeTold = ({ received }: Pick<Exchange, 'received'>): boolean =>
  hasField(received.fields, FIELD);

/** Tells clients that may know what becomes of their requests. */
export class Telling {
  readonly #node: TierNode;
  readonly #others: Pick<TierExplainer, 'ask'>;
  readonly #explain: (asked: ClientAsked) => Promise<Explained>;
  #underWay = 0;

  /**
   * @param others other nodes of the network
   * @param explain what this node would do, all its threads together
   */
  constructor(
    node: TierNode,
    others: Pick<TierExplainer, 'ask'>,
    explain: (asked: ClientAsked) => Promise<Explained>,
  ) {
    this.#node = node;
    this.#others = others;
    this.#explain = explain;
  }

  /**
   * What every tier on the way of a request would do with it, a field line each, for a client with a
   * token of the site. To be asked for before the request is answered, which changes things.
   * @returns nothing for anybody else
   */
  async fieldsFor(exchange: Pick<Exchange, 'received' | 'peerAddress'>): Promise<Fields> {
    const asked = askedBy(this.#node, exchange);
    if (asked === undefined) return NOTHING;
    if (this.#underWay >= MOST_AT_ONCE) {
      return [EXPLAINED_FIELD, untold(this.#node.name, 'too many requests are explained just now')];
    }
    this.#underWay++;
    try {
      return (await this.#lines(asked)).flatMap((line) => [EXPLAINED_FIELD, line]);
    } finally {
      this.#underWay--;
    }
  }

  async #lines(asked: ClientAsked): Promise<readonly string[]> {
    const { name: own, config, siblings, clock } = this.#node;
    const lines: string[] = [];
    await askUp(own, asked, async (name, question) => {
      const isOwn = name === own;
      const explained = await (isOwn
        ? inTime(clock, this.#explain(asked))
        : this.#others.ask(config, name, question));
      lines.push(
        explained === undefined
          ? untold(name, 'it has not told in time, or is of an older version')
          : explanationLine(explained.explanation, isOwn ? siblings.slot : undefined),
      );
      return explained;
    });
    return lines;
  }
}

/** The request goes on, whatever becomes of what is told of it. */
function inTime<T>(clock: Clock, told: Promise<T>): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<T | undefined>();
  const cancel = clock.after(PATIENCE_MS, () => resolve(undefined));
  told.then(resolve, () => resolve(undefined)).finally(cancel);
  return promise;
}

const untold = (node: string, because: string): string => JSON.stringify({ node, because });

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
