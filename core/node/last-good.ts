import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import { validate } from '#core/contract/validate.ts';
import { messageOf } from '#core/errors.ts';
import { type LastGood, lastGoodSchema } from './reading.ts';

/** A burst of events costs one write; what a crash loses of it the journal replays. */
const DEBOUNCE_MS = 500;

/** The last configuration that worked, in `config.json` of the node's directory (mode 0600: it holds keys). */
export class LastGoodConfig {
  readonly #dir: string;
  readonly #file: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #unsaved: LastGood | undefined;
  #cancelTimer: Cancel | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: { readonly dir: string; readonly clock: Clock; readonly log: Logger }) {
    this.#dir = options.dir;
    this.#file = join(options.dir, 'config.json');
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** `undefined` if there is none. A damaged file is set aside as `config.json.damaged`. */
  async read(): Promise<LastGood | undefined> {
    try {
      const text = await readFile(this.#file, 'utf8');
      return validate(lastGoodSchema, JSON.parse(text), 'last good config');
    } catch (error) {
      if (isMissing(error)) return undefined;
      const aside = `${this.#file}.damaged`;
      this.#log.warn(`Set ${this.#file} aside as ${aside}: ${messageOf(error)}`);
      await rename(this.#file, aside).catch((failure: unknown) => this.#complain(failure));
      return undefined;
    }
  }

  /** Keeps `config`, soon. Never throws: a node without disk still serves. */
  save(config: LastGood): void {
    this.#unsaved = config;
    this.#cancelTimer ??= this.#clock.after(DEBOUNCE_MS, () => void this.flush());
  }

  /** Writes at once what `save` was given last. */
  flush(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    const config = this.#unsaved;
    if (config === undefined) return;
    this.#unsaved = undefined;
    const draft = `${this.#file}.new`;
    try {
      await mkdir(this.#dir, { recursive: true });
      const handle = await open(draft, 'w', 0o600);
      try {
        await handle.writeFile(JSON.stringify(config));
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(draft, this.#file);
    } catch (error) {
      this.#complain(error);
    }
  }

  #complain(error: unknown): void {
    this.#log.error(`Could not keep the last good config: ${messageOf(error)}`);
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';
