import { prefixesOf, type Scope } from './scopes.ts';
import type { PurgeMark } from './store.ts';

/** The latest purges that concern all of a scope, each by its sequence; 0: none. */
export interface Epoch {
  readonly hard: number;
  readonly soft: number;
  /** When the latest soft purge was ordered, ms since the epoch. */
  readonly softAt: number;
}

export interface ScopeEpoch {
  readonly scope: Scope;
  readonly epoch: Epoch;
}

const NO_EPOCH: Epoch = { hard: 0, soft: 0, softAt: 0 };

/** The epoch after one more purge. */
export const raised = (
  { hard, soft, softAt }: Epoch = NO_EPOCH,
  { mode, sequence, at }: PurgeMark,
): Epoch =>
  mode === 'hard'
    ? { hard: Math.max(hard, sequence), soft, softAt }
    : { hard, soft: Math.max(soft, sequence), softAt: Math.max(softAt, at) };

/** What two scopes have been through, as the epoch of a scope that holds both. */
export const joined = (a: Epoch = NO_EPOCH, b: Epoch): Epoch => ({
  hard: Math.max(a.hard, b.hard),
  soft: Math.max(a.soft, b.soft),
  softAt: Math.max(a.softAt, b.softAt),
});

export const latestOf = ({ hard, soft }: Epoch): number => Math.max(hard, soft);

/** The epochs of all of one site, of its prefixes and of its tags; or of everything. */
export class Epochs {
  /** No epoch of them is later. */
  latest = 0;
  /** Another number whenever one of them was raised. */
  version = 0;
  #whole: ScopeEpoch | undefined;
  readonly #prefixes = new Map<string, ScopeEpoch>();
  readonly #tags = new Map<string, ScopeEpoch>();

  get isEmpty(): boolean {
    return this.#whole === undefined && this.#prefixes.size + this.#tags.size === 0;
  }

  get(scope: Scope): ScopeEpoch | undefined {
    if (scope.kind === 'prefix') return this.#prefixes.get(scope.name);
    return scope.kind === 'tag' ? this.#tags.get(scope.name) : this.#whole;
  }

  set(one: ScopeEpoch, version: number): void {
    const { scope, epoch } = one;
    this.latest = Math.max(this.latest, latestOf(epoch));
    this.version = version;
    if (scope.kind === 'prefix') this.#prefixes.set(scope.name, one);
    else if (scope.kind === 'tag') this.#tags.set(scope.name, one);
    else this.#whole = one;
  }

  delete({ scope }: ScopeEpoch): void {
    if (scope.kind === 'prefix') this.#prefixes.delete(scope.name);
    else if (scope.kind === 'tag') this.#tags.delete(scope.name);
    else this.#whole = undefined;
  }

  /** Those of every scope that an object is in. */
  of(key: string, tags: readonly string[] = []): readonly ScopeEpoch[] {
    const found: ScopeEpoch[] = [];
    const add = (one: ScopeEpoch | undefined): void => {
      if (one !== undefined) found.push(one);
    };
    add(this.#whole);
    if (this.#prefixes.size > 0) for (const name of prefixesOf(key)) add(this.#prefixes.get(name));
    if (this.#tags.size > 0) for (const tag of tags) add(this.#tags.get(tag));
    return found;
  }

  all(): readonly ScopeEpoch[] {
    const whole = this.#whole === undefined ? [] : [this.#whole];
    return [...whole, ...this.#prefixes.values(), ...this.#tags.values()];
  }
}
