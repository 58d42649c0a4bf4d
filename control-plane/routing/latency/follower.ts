import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type Cancel, type Clock } from '#core/clock.ts';
import { type LatencyMapContent, latencyMapSchema } from '#core/contract/latency.ts';
import { validate } from '#core/contract/validate.ts';
import { messageOf } from '#core/errors.ts';

const FILE = 'latencies.json';
const RETRY_MS = 5_000;

export interface LatencyFollowerOptions {
  /** The node's directory, where the last map is kept. */
  readonly dir: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Asks the control plane. */
  readonly ask: () => Promise<unknown>;
  readonly onMap: (map: LatencyMapContent) => void;
}

/** The latest map of measured round trips, which also a router without a control plane has. */
export class LatencyFollower {
  readonly #options: LatencyFollowerOptions;
  readonly #file: string;
  #wanted = false;
  #asking: Promise<void> | undefined;
  #cancel: Cancel = () => undefined;
  #stopped = false;

  constructor(options: LatencyFollowerOptions) {
    this.#options = options;
    this.#file = join(options.dir, FILE);
  }

  /** Goes by what the last process had, until there is something newer. Nothing, or damage, is no map. */
  async recall(): Promise<void> {
    const text = await readFile(this.#file, 'utf8').catch(() => undefined);
    if (text === undefined) return;
    try {
      this.#options.onMap(validate(latencyMapSchema, JSON.parse(text), 'latency map'));
    } catch (error) {
      this.#options.log.warn(`Goes by no measured latencies at first: ${messageOf(error)}`);
    }
  }

  /** The journal tells that there is another map, or may have. */
  heed(): void {
    this.#wanted = true;
    if (this.#stopped || this.#asking !== undefined) return;
    this.#cancel();
    this.#asking = this.#ask().finally(() => {
      this.#asking = undefined;
      if (this.#wanted) this.#cancel = this.#options.clock.after(RETRY_MS, () => this.heed());
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#asking;
  }

  async #ask(): Promise<void> {
    const { ask, onMap, log } = this.#options;
    try {
      while (this.#wanted && !this.#stopped) {
        this.#wanted = false;
        const map = validate(latencyMapSchema, await ask(), 'latency map');
        onMap(map);
        await this.#keep(map);
      }
    } catch (error) {
      this.#wanted = !this.#stopped;
      log.debug(`The control plane does not tell measured latencies: ${messageOf(error)}`);
    }
  }

  async #keep(map: LatencyMapContent): Promise<void> {
    try {
      await writeFile(`${this.#file}.new`, JSON.stringify(map), { mode: 0o600 });
      await rename(`${this.#file}.new`, this.#file);
    } catch (error) {
      this.#options.log.error(`Could not keep ${this.#file}: ${messageOf(error)}`);
    }
  }
}
