import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#core/clock.ts';
import type { JournalEntry, JournalEvent } from '#core/contract/event.ts';
import { pullOrigins, type Site, siteSchema } from '#core/contract/site.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { changeSites } from '#core/node/config.ts';
import type { Journal } from '../journal/journal.ts';
import { type Addresses, addressesOf, type Resolve } from './addresses.ts';
import { requireCanary, requireNoCanary } from './canary.ts';
import { type Finding, findingsOf, requireNoErrors } from './findings.ts';
import { functionFindings } from './functions.ts';
import { type ConfigHistory, draftOf } from './history.ts';
import {
  type ConfigVersion,
  deltasBetween,
  type OnRefusal,
  siteChangeOfDeltas,
  type SiteDelta,
  undone,
} from './version.ts';

/** Who makes a version that nobody asked for. */
const CONTROL_PLANE = 'control-plane';

/** A change of the sites that somebody asks for. */
export interface Proposal {
  /** Name of the token. */
  readonly author: string;
  readonly reason?: string | undefined;
  /** The sites that are wanted, from those that there are; called anew when another change comes first. */
  readonly plan: (sites: readonly Site[]) => readonly Site[];
  /** Nodes that have it before all others. */
  readonly canary?: readonly string[] | undefined;
  /** Default `rollback`. */
  readonly onRefusal?: OnRefusal | undefined;
  /** The version that it was made from: fails if there is another by now. */
  readonly ifVersion?: number | undefined;
  /** Finds what is wrong and changes nothing. */
  readonly dryRun?: boolean | undefined;
  readonly rollbackTo?: number;
  /** Called with what was found before anything changes; may throw. */
  readonly check?: (findings: readonly Finding[]) => void;
}

export interface Outcome {
  /** The version in effect that it was made from; 0: none yet. */
  readonly base: number;
  readonly deltas: readonly SiteDelta[];
  readonly findings: readonly Finding[];
  /** `undefined` where nothing was changed. */
  readonly version: ConfigVersion | undefined;
}

export interface ConfigVersionsOptions {
  readonly history: ConfigHistory;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly resolve: Resolve;
}

/** Makes versions of the sites: each is written with its event in one step. */
export class ConfigVersions {
  readonly #options: ConfigVersionsOptions;

  constructor(options: ConfigVersionsOptions) {
    this.#options = options;
  }

  /**
   * Makes a version of what is wanted, if it is sound and differs from what there is.
   * @throws CanopyError `conflict` if a host is claimed twice, a canary is under way or cannot be;
   * `precondition-failed`, `not-found` for a canary's node; InvalidInput
   */
  async propose(proposal: Proposal): Promise<Outcome> {
    const { history, journal } = this.#options;
    const { canary, check, dryRun = false, ifVersion, plan } = proposal;
    const addresses = await this.#addresses(proposal);
    const done: { outcome?: Outcome } = {};
    await journal.change(async (config) => {
      const base = await history.inEffect(config);
      if (ifVersion !== undefined && ifVersion !== base) {
        throw new CanopyError('precondition-failed', `The version is ${base}, not ${ifVersion}`);
      }
      const wanted = plan(config.sites);
      if (canary !== undefined) requireCanary(config, wanted, canary);
      const deltas = deltasBetween(config.sites, wanted);
      const changed = namesOf(deltas);
      const findings = [
        ...findingsOf(wanted, changed, { nodes: config.nodes, addresses }),
        ...(await functionFindings(wanted, changed)),
      ];
      done.outcome = { base, deltas, findings, version: undefined };
      if (dryRun || deltas.length === 0) return { entries: [] };
      requireNoErrors(findings);
      check?.(findings);
      requireNoCanary(config);
      const number = await this.#nextNumber();
      return {
        entries: [firstEntryOf(proposal, deltas)],
        alongside: (events) => {
          const version = newVersion(number, proposal, deltas, events);
          done.outcome = { base, deltas, findings, version };
          return { records: [draftOf(version)] };
        },
      };
    });
    const { outcome } = done;
    if (outcome === undefined) throw new Error('A change was not planned');
    if (outcome.version !== undefined) await history.trim(outcome.version);
    return outcome;
  }

  /**
   * Brings back the sites of an earlier version; 0: those before the first.
   * @throws CanopyError `not-found`, and as `propose` does
   */
  async rollback(
    to: number,
    how: Pick<Proposal, 'author' | 'reason' | 'ifVersion' | 'dryRun'>,
  ): Promise<Outcome> {
    const { history, journal } = this.#options;
    const before = await history.sitesAt(to, journal.config);
    // It may be from before a setting that there is by now.
    const sites = before.map((site) =>
      validate(siteSchema, site, `site "${site.name}" of version ${to}`),
    );
    return this.propose({ ...how, plan: () => sites, rollbackTo: to });
  }

  /** Gives the canary to every node. @throws CanopyError `conflict` if there is none, or one was refused */
  promote(): Promise<ConfigVersion> {
    return this.#endCanary((version) => {
      const [refusal] = version.refusals;
      if (refusal !== undefined) {
        throw new CanopyError(
          'conflict',
          `Version ${version.number} was refused by ${refusal.node}: ${refusal.reason}`,
        );
      }
      return {
        // Its nodes have it already, so there is nothing to be undone.
        entries: [entryOf(version.deltas), endOf(version, [])],
        version: ([applied]) => ({
          ...version,
          appliedSequence: applied?.sequence ?? null,
          status: 'rolling-out',
        }),
      };
    });
  }

  /** Takes the canary from its nodes. @throws CanopyError `conflict` if there is none */
  abort(): Promise<ConfigVersion> {
    return this.#endCanary((version) => ({
      entries: [endOf(version, undone(version.deltas))],
      version: () => ({ ...version, status: 'aborted' }),
    }));
  }

  /**
   * Takes back a version that was refused, as far as nothing has come after it.
   * @param refused as it is to be kept
   * @returns false, and nothing is written, if there is nothing that could be taken back
   */
  async takeBack(refused: ConfigVersion, reason: string): Promise<boolean> {
    const events = await this.#options.journal.change(async (config) => {
      const nothing = { entries: [] };
      if (refused.appliedSequence === null) {
        if (config.canary === undefined) return nothing;
        return {
          entries: [endOf(refused, undone(refused.deltas))],
          alongside: () => ({ records: [draftOf(refused)] }),
        };
      }
      const deltas = undone(untouched(refused.deltas, config.sites));
      const wanted = changeSites(config.sites, siteChangeOfDeltas(deltas));
      const findings = findingsOf(wanted, namesOf(deltas), { nodes: [], addresses: new Map() });
      const isClaimed = findings.some(({ severity }) => severity === 'error');
      if (deltas.length === 0 || isClaimed || config.canary !== undefined) return nothing;
      const number = await this.#nextNumber();
      const how = { author: CONTROL_PLANE, reason, onRefusal: 'keep' } as const;
      return {
        entries: [entryOf(deltas)],
        alongside: (written) => ({
          records: [draftOf(refused), draftOf(newVersion(number, how, deltas, written))],
        }),
      };
    });
    return events.length > 0;
  }

  async #nextNumber(): Promise<number> {
    return ((await this.#options.history.latest())?.number ?? 0) + 1;
  }

  async #addresses({ plan, rollbackTo }: Proposal): Promise<Addresses> {
    // What has been good before is not held up by DNS.
    if (rollbackTo !== undefined) return new Map();
    const { journal, clock, resolve } = this.#options;
    const { sites, nodes } = journal.config;
    const origins = deltasBetween(sites, plan(sites)).flatMap(({ after }) =>
      after === null
        ? []
        : pullOrigins(after).flatMap(({ servers }) => servers.map(({ url }) => url)),
    );
    if (origins.length === 0) return new Map();
    return addressesOf([...origins, ...nodes.map(({ url }) => url)], resolve, clock);
  }

  async #endCanary(
    end: (version: ConfigVersion) => {
      readonly entries: readonly JournalEntry[];
      readonly version: (events: readonly JournalEvent[]) => ConfigVersion;
    },
  ): Promise<ConfigVersion> {
    const done: { version?: ConfigVersion } = {};
    await this.#options.journal.change(async (config) => {
      const canary = await this.#options.history.latest();
      // While there is one, no other version is made.
      if (config.canary === undefined || canary === undefined) {
        throw new CanopyError('conflict', 'There is no canary');
      }
      const { entries, version } = end(canary);
      return {
        entries,
        alongside: (events) => ({ records: [draftOf((done.version = version(events)))] }),
      };
    });
    if (done.version === undefined) throw new Error('A canary was not ended');
    return done.version;
  }
}

type How = Pick<Proposal, 'author' | 'reason' | 'canary' | 'onRefusal' | 'rollbackTo'>;

function newVersion(
  number: number,
  { author, reason, canary, onRefusal = 'rollback', rollbackTo }: How,
  deltas: readonly SiteDelta[],
  [event]: readonly JournalEvent[],
): ConfigVersion {
  const sequence = event?.sequence ?? 0;
  return {
    number,
    author,
    reason: reason ?? null,
    createdAt: event?.at ?? 0,
    rollbackTo: rollbackTo ?? null,
    deltas: [...deltas],
    canary: canary === undefined ? null : [...canary],
    sequence,
    appliedSequence: canary === undefined ? sequence : null,
    status: canary === undefined ? 'rolling-out' : 'canary',
    onRefusal,
    refusals: [],
  };
}

function firstEntryOf({ canary }: Proposal, deltas: readonly SiteDelta[]): JournalEntry {
  if (canary === undefined) return entryOf(deltas);
  return {
    type: 'canary.begin',
    canary: { nodes: [...canary], change: siteChangeOfDeltas(deltas) },
  };
}

function entryOf(deltas: readonly SiteDelta[]): JournalEntry {
  const change = siteChangeOfDeltas(deltas);
  const [site] = change.put;
  const [name] = change.delete;
  if (deltas.length === 1 && site !== undefined) return { type: 'site.put', site };
  if (deltas.length === 1 && name !== undefined) return { type: 'site.delete', name };
  return { type: 'sites.change', change };
}

/** @param undoing what its nodes are to change */
const endOf = ({ canary }: ConfigVersion, undoing: readonly SiteDelta[]): JournalEntry => ({
  type: 'canary.end',
  canary: { nodes: canary ?? [], change: siteChangeOfDeltas(undoing) },
});

const namesOf = (deltas: readonly SiteDelta[]): ReadonlySet<string> =>
  new Set(deltas.map(({ name }) => name));

/** Those of which nothing has become of since. */
function untouched(deltas: readonly SiteDelta[], sites: readonly Site[]): readonly SiteDelta[] {
  const present = new Map(sites.map((site) => [site.name, site]));
  return deltas.filter(({ name, after }) => isDeepStrictEqual(present.get(name) ?? null, after));
}
