import { LRUCache } from 'lru-cache';
import type { SiteRouting } from '#core/contract/routing.ts';
import type { Candidate } from './engine/candidate.ts';
import type { Client } from './engine/client.ts';
import { decide, type Decision } from './engine/decide.ts';
import type { Latencies } from './engine/latencies.ts';
import type { Overrides } from './engine/overrides.ts';
import { halvesOf, type Prefix, prefixText, shortened, siblingOf } from './engine/prefix.ts';
import type { Geography } from './geography/geography.ts';

/** All that decisions go by at one moment. */
export interface Situation {
  readonly candidates: readonly Candidate[];
  readonly overrides: Overrides;
  /** Left out: nothing has been measured. */
  readonly latencies?: Latencies;
}

export interface RoutedSite {
  readonly name: string;
  readonly routing: SiteRouting;
}

/** A decision, and for whom it holds. */
export interface Route {
  readonly client: Client;
  readonly decision: Decision;
  /** All clients in it get the same. */
  readonly scope: Prefix;
}

/** Decisions that are remembered, all sites together. */
const MAX_ROUTES = 100_000;

/** Decisions that may be made to find out how far one reaches. */
const MERGE_DECISIONS = 16;

/** Decides, and remembers decisions while the situation is the same. */
export class Routes {
  readonly geography: Geography;
  readonly #routes = new LRUCache<string, Route>({ max: MAX_ROUTES });
  #situation: Situation;

  constructor(geography: Geography, situation: Situation) {
    this.geography = geography;
    this.#situation = situation;
  }

  get situation(): Situation {
    return this.#situation;
  }

  /** What was decided before counts no longer. */
  renew(situation: Situation): void {
    this.#situation = situation;
    this.#routes.clear();
  }

  /** Of an address, or of a network of which only so much is known. */
  locate(address: Prefix): Client {
    const { overrides, latencies } = this.#situation;
    const length = Math.max(overrides.lengthAt(address), latencies?.lengthAt(address) ?? 0);
    return this.geography.locate(address, length);
  }

  /** Where clients of the network are sent. */
  find(site: RoutedSite, address: Prefix, family?: 4 | 6): Route {
    const client = this.locate(address);
    const key = `${site.name} ${family ?? ''} ${prefixText(client.network)}`;
    const known = this.#routes.get(key);
    if (known !== undefined) return known;
    const decision = this.decide(site, client, family);
    const route = { client, decision, scope: this.#scopeOf(site, client, decision, family) };
    this.#routes.set(key, route);
    return route;
  }

  /** Where a client is sent for one object, which equal edges share out by its path. */
  decide(site: RoutedSite, client: Client, family?: 4 | 6, share?: string): Decision {
    return decide({ ...this.#situation, site, client, family, share });
  }

  /**
   * The largest network around the client's in which all get the same answer (RFC 7871 §7.2.1): as
   * long as the neighbour of the same size is answered alike, both are one.
   */
  #scopeOf(site: RoutedSite, client: Client, decision: Decision, family?: 4 | 6): Prefix {
    const answer = answerOf(decision);
    const budget = { left: MERGE_DECISIONS };
    let scope = client.network;
    while (scope.length > 1 && this.#allGet(answer, site, siblingOf(scope), family, budget)) {
      scope = shortened(scope, scope.length - 1);
    }
    return scope;
  }

  #allGet(
    answer: string,
    site: RoutedSite,
    network: Prefix,
    family: 4 | 6 | undefined,
    budget: { left: number },
  ): boolean {
    if (budget.left-- <= 0) return false;
    const client = this.locate(network);
    if (client.network.length > network.length) {
      return halvesOf(network).every((half) => this.#allGet(answer, site, half, family, budget));
    }
    return answerOf(this.decide(site, client, family)) === answer;
  }
}

/** Answers are alike if they name the same edges in the same order. */
const answerOf = ({ chosen }: Decision): string => chosen.map(({ name }) => name).join(' ');

export const scopeText = ({ scope }: Route): string => prefixText(scope);
