import { delay } from '#core/clock.ts';
import type { Pace } from '#core/cache/engine.ts';
import { takeFrom } from '#core/node/shared-pace.ts';
import { place } from './place.ts';
import type { FromThread, ToThread } from './thread-messages.ts';
import type { TierNode } from './tier-node.ts';

/** What the main thread has asked this one to place, by id. */
export class Placements {
  readonly #node: TierNode;
  readonly #send: (message: FromThread) => void;
  readonly #underWay = new Map<number, AbortController>();

  constructor(node: TierNode, send: (message: FromThread) => void) {
    this.#node = node;
    this.#send = send;
  }

  async place({ id, placement, atHome, pace }: ToThread & { type: 'place' }): Promise<void> {
    const { clock } = this.#node;
    const controller = new AbortController();
    this.#underWay.set(id, controller);
    const { signal } = controller;
    const waits: Pace | undefined =
      pace &&
      (async (bytes) => {
        const waitMs = takeFrom(pace, bytes, clock);
        if (waitMs > 0 && !signal.aborted) await delay(clock, waitMs);
      });
    const placed = await place(this.#node, placement, atHome, waits, signal);
    this.#underWay.delete(id);
    this.#send({ type: 'placed', id, placed });
  }

  giveUp(id: number): void {
    this.#underWay.get(id)?.abort();
  }
}
