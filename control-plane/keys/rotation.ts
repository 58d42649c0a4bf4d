import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import type { Network } from '#core/contract/event.ts';
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
export type RotationPhase = 'none' | 'announced' | 'switched';

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
  /** The sequence that every node is to have heeded. */
  #sequence: number;
  #cancel: Cancel | undefined;
  #closed = false;

  /** Goes on with a rotation that a restart has interrupted. */
  constructor(options: TierKeyRotationOptions) {
    this.#options = options;
    // The event of the phase is this one or an earlier one.
    this.#sequence = options.journal.config.sequence;
    this.#lookLater();
  }

  get phase(): RotationPhase {
    return rotationPhase(this.#options.journal.config.network);
  }

  /** @throws CanopyError `conflict` while one is under way */
  async begin(): Promise<void> {
    await this.#advance((phase) => {
      if (phase === 'none') return;
      throw new CanopyError('conflict', `A rotation of the tier key is under way: ${phase}`);
    });
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  async #advance(check: (phase: RotationPhase) => void): Promise<void> {
    const [event] = await this.#options.journal.change(({ network }) => {
      check(rotationPhase(network));
      return { entries: [{ type: 'network.put', network: nextPhase(network, newSecret()) }] };
    });
    this.#sequence = event?.sequence ?? this.#sequence;
    this.#options.log.info({ phase: this.phase }, 'Tier key rotation');
    this.#lookLater();
  }

  #lookLater(): void {
    this.#cancel?.();
    if (this.#closed || this.phase === 'none') return;
    this.#cancel = this.#options.clock.after(LOOK_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    try {
      if (this.#isHeeded()) await this.#advance(() => undefined);
      else this.#lookLater();
    } catch (error) {
      this.#options.log.error(`Could not rotate the tier key: ${messageOf(error)}`);
      this.#lookLater();
    }
  }

  #isHeeded(): boolean {
    const { leases } = this.#options;
    return leases
      .standings()
      .every((node) => node.fence >= this.#sequence || leases.remainingMs(node) === 0);
  }
}
