import { randomUUID } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import type { Clock } from '#core/clock.ts';
import type { Config } from '#core/contract/event.ts';
import type { Observation } from '#core/contract/latency.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { openReceipt, openToken, type Receipt, sealToken } from '#core/latency/measuring.ts';
import { sealKeysOf } from '#core/latency/seal.ts';
import { type Rate, TokenBucket } from '#core/token-bucket.ts';
import { addressText, type Prefix, prefixText, shortened } from '../engine/prefix.ts';
import type { Geography } from '../geography/geography.ts';

/** What a client sends: its token, and what it has been given for it. */
const beaconSchema = z.strictObject({
  token: z.string().max(1024),
  receipts: z.array(z.string().max(1024)).min(1).max(16),
});

/** What is measured as one. */
const NETWORK_BITS = { 4: 24, 6: 48 } as const;
/** What one holder mostly has, and so is limited as one. */
const HOLDER_BITS = { 4: 24, 6: 32 } as const;

/** Beacons of one holder of addresses. */
const HOLDER_RATE: Rate = { perSecond: 0.2, burst: 20 };
const MAX_HOLDERS = 50_000;

const TOKEN_MS = 10 * 60_000;
/** Tokens that have been used, until they expire; beyond it the oldest might be used again. */
const MAX_SPENT = 100_000;

/** Light in vacuum, there and back: no cable is faster. */
const LIGHT_MS_PER_KM = 2 / 299.792458;

export interface BeaconsOptions {
  readonly clock: Clock;
  readonly geography: Geography;
  readonly config: () => Config | undefined;
}

/** Gives clients leave to be measured, and decides what to believe of what they bring back. */
export class Beacons {
  readonly #options: BeaconsOptions;
  readonly #spent = new LRUCache<string, true>({ max: MAX_SPENT });
  readonly #buckets = new LRUCache<string, TokenBucket>({ max: MAX_HOLDERS });

  /** Beacons by what became of them: `accepted`, or the code of the error. */
  readonly results = new Map<string, number>();

  constructor(options: BeaconsOptions) {
    this.#options = options;
  }

  /** A token for the network of `address`, good for ten minutes and one beacon. */
  token(address: Prefix): string {
    const network = prefixText(shortened(address, NETWORK_BITS[address.family]));
    const until = this.#options.clock.now() + TOKEN_MS;
    return sealToken(sealKeysOf(this.#config.network), { id: randomUUID(), network, until });
  }

  /**
   * What a beacon from `address` tells.
   * @throws CanopyError `invalid-input`; `forbidden` for what is not to be believed, of another network,
   * or sent again; `too-many-requests` beyond what one holder of addresses may send
   */
  accept(address: Prefix, input: unknown): readonly Observation[] {
    try {
      const observations = this.#read(address, input);
      this.#count('accepted');
      return observations;
    } catch (error) {
      this.#count(error instanceof CanopyError ? error.code : 'internal-error');
      throw error;
    }
  }

  #count(result: string): void {
    this.results.set(result, (this.results.get(result) ?? 0) + 1);
  }

  #read(address: Prefix, input: unknown): readonly Observation[] {
    const { clock, geography } = this.#options;
    const { nodes, network } = this.#config;
    const beacon = validate(beaconSchema, input, 'beacon');
    const keys = sealKeysOf(network);
    const token = openToken(keys, beacon.token, addressText(address), clock.now());
    this.#limit(address);
    const receipts = beacon.receipts.map((text) => openReceipt(keys, text, token));
    const edges = new Map(nodes.filter(({ tier }) => tier === 'edge').map((n) => [n.name, n]));
    const { asn, country } = geography.locate(address);
    const observations = fastestEach(receipts).flatMap(({ edge, roundTripMs }) => {
      const location = edges.get(edge)?.location;
      if (location === undefined) return [];
      const leastMs = geography.leastKm(address, location) * LIGHT_MS_PER_KM;
      if (roundTripMs < leastMs) {
        throw new CanopyError(
          'forbidden',
          `${roundTripMs} ms to "${edge}" would be faster than light, which takes ${Math.ceil(leastMs)} ms`,
        );
      }
      const of = { ...(asn !== undefined && { asn }), ...(country !== undefined && { country }) };
      return [{ network: token.network, ...of, edge, roundTripMs }];
    });
    if (this.#spent.has(token.id)) throw new CanopyError('forbidden', 'The token was used before');
    this.#spent.set(token.id, true);
    return observations;
  }

  get #config(): Config {
    const config = this.#options.config();
    if (config === undefined) throw new CanopyError('unavailable', 'There is no configuration yet');
    return config;
  }

  #limit(address: Prefix): void {
    const holder = prefixText(shortened(address, HOLDER_BITS[address.family]));
    const known = this.#buckets.get(holder);
    const bucket = known ?? new TokenBucket(this.#options.clock, HOLDER_RATE);
    if (known === undefined) this.#buckets.set(holder, bucket);
    if (bucket.take(1, HOLDER_RATE) > 0) {
      throw new CanopyError('too-many-requests', `${holder} has sent enough beacons for now`);
    }
  }
}

/** The others had something else to do on the way. */
function fastestEach(receipts: readonly Receipt[]): readonly Receipt[] {
  const fastest = new Map<string, Receipt>();
  for (const receipt of receipts) {
    const known = fastest.get(receipt.edge);
    if (known === undefined || receipt.roundTripMs < known.roundTripMs) {
      fastest.set(receipt.edge, receipt);
    }
  }
  return [...fastest.values()];
}
