import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import type { Config, JournalEvent, Network } from '#core/contract/event.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { Journal } from '../journal/journal.ts';
import type { NodeLeases } from '../journal/leases.ts';
import { newSecret } from '../secrets.ts';

/**
 * How far a rotation of the tier key is.
 * - `none`: there is one key
 * - `announced`: nodes take the next key, and still present the old one
 * - `switched`: nodes present the new key, and still take the old one
 */
export const ROTATION_PHASES = ['none', 'announced', 'switched'] as const;

export type RotationPhase = (typeof ROTATION_PHASES)[number];

export const rotationPhase = ({ nextTierKey, previousTierKey }: Network): RotationPhase => {
  if (nextTierKey !== undefined) return 'announced';
  return previousTierKey === undefined ? 'none' : 'switched';
};

/** The network one phase further. @param fresh the key to announce where there is no rotation yet */
export function nextPhase(network: Network, fresh: string): Network {
  const { nextTierKey, previousTierKey: _, ...kept } = network;
  if (nextTierKey !== undefined) {
    return { ...kept, tierKey: nextTierKey, previousTierKey: network.tierKey };
  }
  return rotationPhase(network) === 'none' ? { ...network, nextTierKey: fresh } : kept;
}

/** How often it looks whether every node has heeded the phase. */
const LOOK_MS = 500;

export interface TierKeyRotationOptions {
  readonly journal: Journal;
  readonly leases: NodeLeases;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Replaces the key that nodes know each other by, with no request refused on the way: each phase
 * is an event of the journal, and begins once every node in service has heeded the one before.
 */
export class TierKeyRotation {
  readonly #options: TierKeyRotationOptions;
  /** The network in the phase that is looked at. */
  #network: Network;
  /** The sequence that every node is to have heeded. */
  #sequence: number;
  #cancel: Cancel | undefined;
  #closed = false;

  /** Goes on with a rotation that a restart has interrupted, or that another control plane has begun. */
  constructor(options: TierKeyRotationOptions) {
    const { config } = options.journal;
    this.#options = options;
    this.#network = config.network;
    // The event of the phase is this one or an earlier one.
    this.#sequence = config.sequence;
    options.journal.onChange(() => this.#notice());
    this.#lookLater();
  }

  get phase(): RotationPhase {
    return rotationPhase(this.#options.journal.config.network);
  }

  /**
   * @param check called with the phase as it is before anything is written; may throw
   * @throws CanopyError `conflict` while one is under way
   */
  begin(check: (phase: RotationPhase) => void): Promise<readonly JournalEvent[]> {
    return this.#advance(({ network }) => {
      const phase = rotationPhase(network);
      check(phase);
      if (phase === 'none') return true;
      throw new CanopyError('conflict', `A rotation of the tier key is under way: ${phase}`);
    });
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #notice(): void {
    const { network, sequence } = this.#options.journal.config;
    if (network === this.#network) return;
    this.#network = network;
    this.#sequence = sequence;
    this.#options.log.info({ phase: this.phase }, 'Tier key rotation');
    this.#lookLater();
  }

  /** @param applies whether the next phase may begin, looked at anew if another control plane writes first */
  #advance(applies: (config: Config) => boolean): Promise<readonly JournalEvent[]> {
    return this.#options.journal.change((config) => {
      if (!applies(config)) return { entries: [] };
      const network = nextPhase(config.network, newSecret());
      return { entries: [{ type: 'network.put', network }] };
    });
  }

  #lookLater(): void {
    this.#cancel?.();
    if (this.#closed || this.phase === 'none') return;
    this.#cancel = this.#options.clock.after(LOOK_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    const looked = this.#network;
    try {
      if (await this.#isHeeded()) await this.#advance(({ network }) => network === looked);
    } catch (error) {
      this.#options.log.error(`Could not rotate the tier key: ${messageOf(error)}`);
    }
    this.#lookLater();
  }

  async #isHeeded(): Promise<boolean> {
    const sequence = this.#sequence;
    const { nodes } = await this.#options.leases.survey();
    return nodes.every((node) => node.fence >= sequence || node.remainingMs === 0);
  }
}
