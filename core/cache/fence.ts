import type { Clock } from '#core/clock.ts';
import { Epochs, joined, latestOf, raised, type ScopeEpoch } from './epochs.ts';
import type { Scope } from './scopes.ts';
import type { PurgeMark } from './store.ts';

/** Prefixes and tags that have an epoch of their own, and characters of their names. */
const MAX_SCOPES = 100_000;
const MAX_NAME_CHARACTERS = 16 * 1024 * 1024;

/** What an epoch is checked against: an object, or a fill that will become one. */
export interface Fenced {
  readonly site: string;
  /** Of the object, or of a slice of it. */
  readonly key: string;
  readonly asOf: number;
  readonly facts: { readonly tags: readonly string[] | undefined };
  /** What was found last, so that a hit does not look again. Kept by the fence alone. */
  checked?: Checked | undefined;
}

/** The finding of one check, which a copy of the object shares until what it depends on differs. */
interface Checked extends Pick<Fenced, 'key' | 'asOf'> {
  readonly tags: readonly string[] | undefined;
  readonly version: number;
  readonly verdict: Verdict | undefined;
}

export interface Verdict {
  readonly mode: 'hard' | 'soft';
  /** When the latest soft purge was ordered, ms since the epoch; 0 for hard. */
  readonly at: number;
}

/** Told of the epochs that a fence keeps, for who keeps them elsewhere as well. */
export interface EpochFollower {
  /** In the place of the one that its scope had. */
  changed(one: ScopeEpoch): void;
  forgotten(one: ScopeEpoch): void;
}

const HARD: Verdict = { mode: 'hard', at: 0 };

/**
 * What this thread has applied of the journal. A purge with sequence S concerns content iff it
 * matches and `asOf < S`. Purges of sites, prefixes and tags raise the epoch of their scope, and cost
 * the same whatever it holds; objects are checked when they are next looked up.
 */
export class Fence {
  readonly #maxScopes: number;
  #sequence = 0;
  #version = 0;
  readonly #everything = new Epochs();
  readonly #sites = new Map<string, Epochs>();
  /** Of prefixes and tags, the longest unchanged first. */
  readonly #narrow = new Set<ScopeEpoch>();
  #nameCharacters = 0;
  #follower: EpochFollower | undefined;
  readonly #waits = new Set<() => void>();

  /** @param maxScopes prefixes and tags with an epoch of their own; beyond it the site's stands in for the oldest */
  constructor(maxScopes = MAX_SCOPES) {
    this.#maxScopes = maxScopes;
  }

  /** The last event applied. */
  get sequence(): number {
    return this.#sequence;
  }

  advance(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence);
    for (const check of this.#waits) check();
  }

  /** Resolves once the journal up to `sequence` is heeded here, or after `timeoutMs`; whether it is. */
  async reaches(sequence: number, timeoutMs: number, clock: Clock): Promise<boolean> {
    const reached = (): boolean => this.#sequence >= sequence;
    if (reached()) return true;
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        this.#waits.delete(check);
        cancel();
        resolve();
      };
      const check = (): void => {
        if (reached()) finish();
      };
      const cancel = clock.after(timeoutMs, finish);
      this.#waits.add(check);
    });
    return reached();
  }

  /** Applies a purge to all that is, or will be found to be, in a scope. */
  raise(scope: Scope, purge: PurgeMark): void {
    const before = this.#epochsOf(scope).get(scope)?.epoch;
    this.#set({ scope, epoch: raised(before, purge) });
  }

  /** The strongest purge of an epoch that concerns `content`. Allocates nothing where no epoch was raised since it was last asked. */
  verdict(content: Fenced): Verdict | undefined {
    const all = this.#everything;
    const site = this.#sites.get(content.site) ?? all;
    if (content.asOf >= all.latest && content.asOf >= site.latest) return undefined;
    const version = Math.max(all.version, site.version);
    const { key, asOf, checked } = content;
    const { tags } = content.facts;
    const isOurs = checked?.asOf === asOf && checked.tags === tags && checked.key === key;
    if (isOurs && checked.version === version) return checked.verdict;
    const verdict = strongest(asOf, this.concerning(content));
    content.checked = { key, asOf, tags, version, verdict };
    return verdict;
  }

  /** The epochs that concern `content`. */
  concerning(content: Fenced): readonly ScopeEpoch[] {
    const { key, site, asOf, facts } = content;
    const all = this.#everything.of(key);
    const ofSite = this.#sites.get(site)?.of(key, facts.tags) ?? [];
    return [...all, ...ofSite].filter(({ epoch }) => asOf < latestOf(epoch));
  }

  /** Every epoch there is. */
  get epochs(): readonly ScopeEpoch[] {
    return [this.#everything, ...this.#sites.values()].flatMap((epochs) => epochs.all());
  }

  /** Forgets an epoch that concerns nothing any more, unless it was raised since. */
  forget(one: ScopeEpoch): void {
    const epochs = this.#epochsOf(one.scope);
    if (epochs.get(one.scope) === one) {
      this.#delete(one);
      this.#follower?.forgotten(one);
    }
    if (epochs.isEmpty && one.scope.kind !== 'everything') this.#sites.delete(one.scope.site);
  }

  /** The same for an epoch that another fence knew: only where this one knows no more of its scope. */
  forgetAlike({ scope, epoch }: ScopeEpoch): void {
    const found = this.#epochsOf(scope).get(scope);
    if (found === undefined) return;
    const { hard, soft, softAt } = found.epoch;
    if (hard === epoch.hard && soft === epoch.soft && softAt === epoch.softAt) this.forget(found);
  }

  /** Another journal is followed from now on: of its purges nothing is known yet. */
  restart(): void {
    for (const one of this.epochs) this.forget(one);
    this.#sequence = 0;
  }

  /** Takes over what another fence knew, in addition to what this one knows. @param known.epochs the longest unchanged first */
  restore({ sequence, epochs }: Pick<Fence, 'sequence' | 'epochs'>): void {
    for (const { scope, epoch } of epochs) this.#join(scope, epoch);
    this.advance(sequence);
  }

  /** Tells `follower` of what changes from now on. */
  follow(follower: EpochFollower): void {
    this.#follower = follower;
  }

  #join(scope: Scope, epoch: ScopeEpoch['epoch']): void {
    this.#set({ scope, epoch: joined(this.#epochsOf(scope).get(scope)?.epoch, epoch) });
  }

  #set(one: ScopeEpoch): void {
    const { scope } = one;
    const epochs = this.#epochsOf(scope);
    const before = epochs.get(scope);
    if (before !== undefined) this.#delete(before);
    epochs.set(one, ++this.#version);
    this.#follower?.changed(one);
    if (scope.kind !== 'prefix' && scope.kind !== 'tag') return;
    this.#narrow.add(one);
    this.#nameCharacters += scope.name.length;
    for (const oldest of this.#narrow) {
      if (this.#narrow.size <= this.#maxScopes && this.#nameCharacters <= MAX_NAME_CHARACTERS)
        break;
      this.#widen(oldest);
    }
  }

  /** What may have been purged counts as purged: the whole site, as far back as this one scope was. */
  #widen(one: ScopeEpoch): void {
    if (one.scope.kind === 'everything') return;
    this.#delete(one);
    this.#follower?.forgotten(one);
    this.#join({ kind: 'site', site: one.scope.site }, one.epoch);
  }

  #delete(one: ScopeEpoch): void {
    this.#epochsOf(one.scope).delete(one);
    if (this.#narrow.delete(one) && 'name' in one.scope) {
      this.#nameCharacters -= one.scope.name.length;
    }
  }

  #epochsOf(scope: Scope): Epochs {
    if (scope.kind === 'everything') return this.#everything;
    let epochs = this.#sites.get(scope.site);
    if (epochs === undefined) {
      epochs = new Epochs();
      this.#sites.set(scope.site, epochs);
    }
    return epochs;
  }
}

function strongest(asOf: number, epochs: readonly ScopeEpoch[]): Verdict | undefined {
  let softAt: number | undefined;
  for (const { epoch } of epochs) {
    if (asOf < epoch.hard) return HARD;
    if (asOf < epoch.soft) softAt = Math.max(softAt ?? 0, epoch.softAt);
  }
  return softAt === undefined ? undefined : { mode: 'soft', at: softAt };
}
