import type { Cancel, Clock } from '#core/clock.ts';
import type { Config } from '#core/contract/event.ts';
import type { Node } from '#core/contract/node.ts';
import {
  alternateOrigins,
  type HealthCheck,
  type PullOrigin,
  type Site,
} from '#core/contract/site.ts';
import type { Fields } from '#core/http/fields.ts';
import { Agents } from './agents.ts';
import { customerFields } from './customer.ts';
import { HEALTH_TARGET } from './health-target.ts';
import { answersWell } from './answers-well.ts';
import { type Asking, type Parent, stagesFor } from './parents.ts';

/** One parent that is asked whether it is well. */
export interface ParentCheck extends HealthCheck {
  readonly parent: Parent;
  /** The host that a client would ask for. */
  readonly host: string;
  /** Of a customer's server: what it is sent, and how, is as for a client's request. */
  readonly origin?: PullOrigin | undefined;
}

/** What a series of checks has come to. */
export interface Series {
  readonly isDown: boolean;
  /** Results in a row that say otherwise. */
  readonly against: number;
}

export const NOT_CHECKED: Series = { isDown: false, against: 0 };

/** One more result; `rise` and `fall` in a row turn it. */
export function next(
  { isDown, against }: Series,
  isWell: boolean,
  { rise, fall }: Pick<HealthCheck, 'rise' | 'fall'>,
): Series {
  if (isWell !== isDown) return { isDown, against: 0 };
  const turns = against + 1 >= (isDown ? rise : fall);
  return turns ? { isDown: !isDown, against: 0 } : { isDown, against: against + 1 };
}

/** A node that has stopped is known to those that ask it within 1.25 + 1 + 0.3 + 1 seconds. */
const NODE_CHECK: HealthCheck = {
  path: HEALTH_TARGET,
  intervalMs: 1000,
  timeoutMs: 1000,
  status: [200],
  rise: 2,
  fall: 2,
};

/** How a router checks an edge. */
export const checkOfEdge = ({ name, url }: Node): ParentCheck => ({
  ...NODE_CHECK,
  parent: { name, url, tier: 'edge' },
  host: new URL(url).host,
});

/** What a node checks: the nodes that it may ask, and servers where a site wants that and no mid-tier does it. */
export function checksFor(config: Config, asking: Asking): readonly ParentCheck[] {
  const checks = config.sites.flatMap(withEachOrigin).flatMap((site) => {
    const parents = stagesFor(config, site, asking).flat();
    const hasMidTiers = parents.some(({ tier }) => tier === 'mid-tier');
    return parents.flatMap((parent) => {
      const check = parent.tier === 'customer' ? ofServer(site, hasMidTiers, asking) : NODE_CHECK;
      if (check === undefined) return [];
      const origin = parent.tier === 'customer' ? site.origin : undefined;
      return [{ ...check, parent, host: hostOf(site, parent), origin: pullOrigin(origin) }];
    });
  });
  return [...new Map(checks.map((check) => [idOf(check), check])).values()];
}

/** A site once for each of its origins. */
const withEachOrigin = (site: Site): readonly Site[] => [
  site,
  ...alternateOrigins(site).map(([, origin]) => ({ ...site, origin })),
];

function ofServer(
  { origin }: Site,
  hasMidTiers: boolean,
  { tier }: Asking,
): HealthCheck | undefined {
  if (tier === 'edge' && hasMidTiers) return undefined;
  return origin.kind === 'pull' ? origin.check : undefined;
}

const pullOrigin = (origin: Site['origin'] | undefined): PullOrigin | undefined =>
  origin?.kind === 'pull' ? origin : undefined;

const hostOf = ({ hosts }: Site, { url, tier }: Parent): string =>
  (tier === 'customer' ? hosts.find((host) => !host.startsWith('*')) : undefined) ??
  new URL(url).host;

function fieldsOf({ parent, path, host, origin }: ParentCheck, now: number): Fields {
  const fields = ['User-Agent', 'Canopy'];
  if (origin === undefined) return ['Host', host, ...fields];
  return customerFields(origin, parent, { method: 'GET', target: path, fields, host }, now);
}

const idOf = (check: ParentCheck): string => JSON.stringify(check);

export interface ParentChecksOptions {
  readonly clock: Clock;
  /** Told of all that are down, whenever that changes. */
  readonly onChange: (down: readonly string[]) => void;
  /** In [0, 1), so that nodes do not check all at once. */
  readonly random?: () => number;
}

interface Watched {
  readonly check: ParentCheck;
  series: Series;
  cancel: Cancel;
}

/** Asks parents at intervals whether they are well: once for a node, whatever number of threads it has. */
export class ParentChecks {
  readonly #options: ParentChecksOptions;
  readonly #random: () => number;
  readonly #watched = new Map<string, Watched>();
  // A kept connection would go on answering when no new one is accepted.
  readonly #agents = new Agents({ keepsConnections: false });
  #down = '';

  constructor(options: ParentChecksOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  /** Checks these from now on, and no others; what is known of them already stays. */
  watch(checks: readonly ParentCheck[]): void {
    const wanted = new Map(checks.map((check) => [idOf(check), check]));
    for (const [id, { cancel }] of this.#watched) {
      if (wanted.has(id)) continue;
      cancel();
      this.#watched.delete(id);
    }
    for (const [id, check] of wanted) {
      if (this.#watched.has(id)) continue;
      const watched = { check, series: NOT_CHECKED, cancel: () => undefined };
      this.#watched.set(id, watched);
      this.#schedule(id, watched, check.intervalMs * this.#random());
    }
    this.#tell();
  }

  async close(): Promise<void> {
    this.watch([]);
    await this.#agents.close();
  }

  #schedule(id: string, watched: Watched, afterMs: number): void {
    watched.cancel = this.#options.clock.after(afterMs, () => void this.#check(id, watched));
  }

  async #check(id: string, watched: Watched): Promise<void> {
    const { check } = watched;
    const isWell = await this.#isWell(check);
    if (this.#watched.get(id) !== watched) return;
    watched.series = next(watched.series, isWell, check);
    this.#tell();
    // A result that says otherwise is made sure of soon.
    const waitMs = watched.series.against > 0 ? check.intervalMs / 4 : check.intervalMs;
    this.#schedule(id, watched, waitMs * (0.75 + this.#random() / 2));
  }

  #isWell(check: ParentCheck): Promise<boolean> {
    const { parent, timeoutMs } = check;
    const { clock } = this.#options;
    const fields = fieldsOf(check, clock.now());
    const agent = this.#agents.of(parent.connection, timeoutMs);
    return answersWell(clock, agent, { ...check, url: parent.url, fields });
  }

  #tell(): void {
    const names = [...this.#watched.values()]
      .filter(({ series }) => series.isDown)
      .map(({ check }) => check.parent.name);
    const down = [...new Set(names)].toSorted();
    const told = down.join('\n');
    if (told === this.#down) return;
    this.#down = told;
    this.#options.onChange(down);
  }
}
