import type { Cancel, Clock } from '#core/clock.ts';
import { CanopyError } from '#core/errors.ts';
import type { ReleaseRecords } from './release-records.ts';

/** How often a control plane says that it is still at a release, and when it is taken for gone. */
const BEAT_MS = 5_000;
const GONE_AFTER_MS = 30_000;

/** Whose turn it is to change the release of a site: one at a time, across all control planes. */
export class Turns {
  readonly #records: ReleaseRecords;
  readonly #clock: Clock;

  constructor(records: ReleaseRecords, clock: Clock) {
    this.#records = records;
    this.#clock = clock;
  }

  /** The release that has the turn; `isGone`: of a control plane that is not heard of any more. */
  async holder(site: string): Promise<{ release: string; isGone: boolean } | undefined> {
    const held = await this.#records.turn(site);
    if (held === undefined) return undefined;
    const { release, heardAt } = held.turn;
    return { release, isGone: this.#clock.now() - heardAt >= GONE_AFTER_MS };
  }

  /** @throws CanopyError `conflict` while another has it */
  async take(site: string, release: string): Promise<void> {
    const held = await this.#records.turn(site);
    const isFree = held === undefined || (await this.holder(site))?.isGone === true;
    const turn = { release, heardAt: this.#clock.now() };
    if (isFree && (await this.#records.takeTurn(site, turn, held?.revision ?? 0))) return;
    const other = held?.turn.release ?? 'of another control plane';
    throw new CanopyError('conflict', `Release ${other} of "${site}" is on its way`);
  }

  /** @throws CanopyError `conflict` if it was taken for gone */
  async assertHeld(site: string, release: string): Promise<void> {
    if ((await this.#records.turn(site))?.turn.release === release) return;
    throw new CanopyError('conflict', `Release ${release} took so long that it was given up`);
  }

  /** Says now and then that it is still at it. @returns what ends that */
  keep(site: string, release: string, onError: (error: unknown) => void): Cancel {
    let cancel: Cancel | undefined;
    const later = (): void => {
      cancel = this.#clock.after(BEAT_MS, () => {
        void this.#beat(site, release).catch(onError);
        later();
      });
    };
    later();
    return () => cancel?.();
  }

  async giveUp(site: string, release: string): Promise<void> {
    if ((await this.#records.turn(site))?.turn.release === release) {
      await this.#records.giveUpTurn(site);
    }
  }

  /** Not where it was lost. */
  async #beat(site: string, release: string): Promise<void> {
    const held = await this.#records.turn(site);
    if (held?.turn.release !== release) return;
    await this.#records.takeTurn(site, { release, heardAt: this.#clock.now() }, held.revision);
  }
}
