import type { SiteRouting } from '#core/contract/routing.ts';
import type { Candidate } from './engine/candidate.ts';
import { Chooser } from './engine/chooser.ts';
import type { Client } from './engine/client.ts';
import { decide, type Decision, type Field, fieldOf } from './engine/decide.ts';
import { type Latencies, unmeasured } from './engine/latencies.ts';
import { NetworkMap } from './engine/network-map.ts';
import type { Overrides } from './engine/overrides.ts';
import { halvesOf, type Prefix, shortened, siblingOf } from './engine/prefix.ts';
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

/** What a decision comes to for those who ask nothing else. */
export interface Choice {
  /** The best first, as `Decision.chosen`. */
  readonly chosen: readonly Candidate[];
  /** Whether edges of the site were left out for want of an address of the family. */
  readonly lacksFamily: boolean;
  /** All clients in it get the same. */
  readonly scope: Prefix;
}

/** Networks whose place is remembered, and choices of each site and family. */
const MAX_NETWORKS = 100_000;

/** Decisions that may be made to find out how far one reaches. */
const MERGE_DECISIONS = 16;

/** What is remembered of one site and family. */
interface Lane {
  readonly site: RoutedSite;
  readonly family: 4 | 6 | undefined;
  /** By the overrides that matter: their places in the list. */
  readonly fields: Map<string, { readonly field: Field; readonly chooser: Chooser }>;
  /** By scope. */
  readonly choices: NetworkMap<Choice>;
  /** Of networks that were looked at to find how far a choice reaches. */
  readonly chosen: WeakMap<Client, readonly Candidate[]>;
}

/** Decides, and remembers what was decided while the situation is the same. */
export class Routes {
  readonly geography: Geography;
  readonly #clients = new NetworkMap<Client>(MAX_NETWORKS);
  readonly #lanes = new Map<RoutedSite, Map<4 | 6 | undefined, Lane>>();
  #situation: Situation;

  constructor(geography: Geography, situation: Situation) {
    this.geography = geography;
    this.#situation = situation;
  }

  get situation(): Situation {
    return this.#situation;
  }

  /** What was decided before counts no longer. @param isMoved whether clients are elsewhere, too */
  renew(situation: Situation, isMoved = false): void {
    const { overrides, latencies } = this.#situation;
    // Both say how large the networks are that are told apart.
    if (isMoved || situation.overrides !== overrides || situation.latencies !== latencies) {
      this.#clients.clear();
    }
    this.#situation = situation;
    this.#lanes.clear();
  }

  /** Of an address, or of a network of which only so much is known. */
  locate(address: Prefix): Client {
    const known = this.#clients.find(address);
    if (known !== undefined) return known;
    const { overrides, latencies } = this.#situation;
    const length = Math.max(overrides.lengthAt(address), latencies?.lengthAt(address) ?? 0);
    const client = this.geography.locate(address, length);
    this.#clients.set(client.network, client);
    return client;
  }

  /** Where clients of the network are sent, with every step. */
  find(site: RoutedSite, address: Prefix, family?: 4 | 6): Route {
    const client = this.locate(address);
    const decision = this.decide(site, client, family);
    return { client, decision, scope: this.choose(site, address, family).scope };
  }

  /** Where a client is sent for one object, which equal edges share out by its path. */
  decide(site: RoutedSite, client: Client, family?: 4 | 6, share?: string): Decision {
    const { field } = this.#fieldOf(this.#laneOf(site, family), client);
    return decide({ ...this.#situation, site, client, family, share }, field);
  }

  /** Where clients of the network are sent, as `find` has it. */
  choose(site: RoutedSite, address: Prefix, family?: 4 | 6): Choice {
    const lane = this.#laneOf(site, family);
    const known = lane.choices.find(address);
    if (known !== undefined) return known;
    const client = this.locate(address);
    const chosen = this.#chosen(lane, client);
    const choice: Choice = {
      chosen,
      lacksFamily: lacksFamily(this.#fieldOf(lane, client).field),
      scope: this.#scopeOf(lane, client, namesOf(chosen)),
    };
    lane.choices.set(choice.scope, choice);
    return choice;
  }

  #laneOf(site: RoutedSite, family: 4 | 6 | undefined): Lane {
    let lanes = this.#lanes.get(site);
    if (lanes === undefined) this.#lanes.set(site, (lanes = new Map()));
    let lane = lanes.get(family);
    if (lane === undefined) {
      const choices = new NetworkMap<Choice>(MAX_NETWORKS);
      lane = { site, family, fields: new Map(), choices, chosen: new WeakMap() };
      lanes.set(family, lane);
    }
    return lane;
  }

  #fieldOf({ site, family, fields }: Lane, client: Client) {
    const { candidates, overrides } = this.#situation;
    const matching = overrides.matching(client, site.name);
    const key = matching.map((override) => overrides.placeOf(override)).join(' ');
    const known = fields.get(key);
    if (known !== undefined) return known;
    const field = fieldOf({ site, family, candidates }, matching);
    const made = { field, chooser: new Chooser(field, site) };
    fields.set(key, made);
    return made;
  }

  #chosen(lane: Lane, client: Client): readonly Candidate[] {
    const known = lane.chosen.get(client);
    if (known !== undefined) return known;
    const measuredTo = this.#situation.latencies?.about(client) ?? unmeasured;
    const chosen = this.#fieldOf(lane, client).chooser.choose(client, measuredTo);
    lane.chosen.set(client, chosen);
    return chosen;
  }

  /**
   * The largest network around the client's in which all get the same answer (RFC 7871 §7.2.1): as
   * long as the neighbour of the same size is answered alike, both are one.
   */
  #scopeOf(lane: Lane, client: Client, answer: string): Prefix {
    const budget = { left: MERGE_DECISIONS };
    let scope = client.network;
    while (scope.length > 1 && this.#allGet(lane, answer, siblingOf(scope), budget)) {
      scope = shortened(scope, scope.length - 1);
    }
    return scope;
  }

  #allGet(lane: Lane, answer: string, network: Prefix, budget: { left: number }): boolean {
    if (budget.left-- <= 0) return false;
    const client = this.locate(network);
    if (client.network.length > network.length) {
      return halvesOf(network).every((half) => this.#allGet(lane, answer, half, budget));
    }
    return namesOf(this.#chosen(lane, client)) === answer;
  }
}

/** Answers are alike if they name the same edges in the same order. */
const namesOf = (chosen: readonly Candidate[]): string => chosen.map(({ name }) => name).join(' ');

const lacksFamily = ({ verdicts: [serves] }: Field): boolean =>
  serves?.dropped.some(({ reason }) => reason === 'no-address') === true;
