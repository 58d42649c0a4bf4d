import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { messageOf } from '#core/errors.ts';
import type { Bodies } from './bodies.ts';

/** Bodies of one run of a store, and which of them somebody still has in hand. */
export class HeldBodies {
  readonly #bodies: Bodies;
  /** Whether a body is a content's. */
  readonly #isKept: (body: string) => boolean;
  readonly #log: Logger;
  /** Begins the name of every body of this run. */
  readonly #run = randomUUID();
  #named = 0;
  /** Those that are written, or removed, or of which it is not known yet whether they are contents. */
  readonly #inHand = new Set<string>();
  readonly #removals = new Set<Promise<void>>();

  constructor(bodies: Bodies, isKept: (body: string) => boolean, log: Logger) {
    this.#bodies = bodies;
    this.#isKept = isKept;
    this.#log = log;
  }

  /** The name of a new body, which is in hand until it is removed or let go. */
  next(): string {
    const number = this.#named++;
    const body = `${this.#run}-${number.toString(16).padStart(2, '0')}`;
    this.#inHand.add(body);
    return body;
  }

  letGo(body: string): void {
    this.#inHand.delete(body);
  }

  /** A body that stays behind costs room, not correctness; the next sweep removes it. */
  async remove(body: string): Promise<void> {
    this.#inHand.add(body);
    try {
      await this.#bodies.remove(body);
    } catch (error) {
      this.#log.warn(`Cannot remove body ${body}: ${messageOf(error)}`);
    } finally {
      this.#inHand.delete(body);
    }
  }

  removeBehind(body: string): void {
    const removal = this.remove(body).finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  /** Removes all that crashes and failures have left behind. */
  async sweep(): Promise<void> {
    const keep = (body: string): boolean => this.#inHand.has(body) || this.#isKept(body);
    const warn = (problem: unknown): void =>
      this.#log.warn(`Cannot remove unreferenced bodies: ${messageOf(problem)}`);
    await this.#bodies.sweep(keep, warn).catch(warn);
  }

  /** Resolves once nothing is removed behind any more. */
  async idle(): Promise<void> {
    await Promise.all(this.#removals);
  }
}
