import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { CanopyError } from '#core/errors.ts';
import type { Outlet } from './outlet.ts';

export interface ExabgpOptions {
  readonly prefixes: readonly string[];
  /** An address, or `self`. */
  readonly nextHop: string;
  /** Such as `65000:100`. */
  readonly communities: readonly string[];
}

/** ExaBGP says `done` or `error` to each command, unless its `api.ack` is off: then silence is consent. */
const ACK_LIMIT_MS = 2_000;

/** One line for each prefix, as ExaBGP's API for processes has it. */
export function commandsOf(announced: boolean, options: ExabgpOptions): string[] {
  const { prefixes, nextHop, communities } = options;
  const verb = announced ? 'announce' : 'withdraw';
  const community =
    announced && communities.length > 0 ? ` community [ ${communities.join(' ')} ]` : '';
  return prefixes.map((prefix) => `${verb} route ${prefix} next-hop ${nextHop}${community}`);
}

/** Speaks to the ExaBGP that runs this process, on its standard input and output. */
export class Exabgp implements Outlet {
  readonly #options: ExabgpOptions;
  readonly #output: Writable;
  /** Commands that wait for an answer, the oldest first. */
  readonly #waiting: ((answer: string) => void)[] = [];

  /** @param onEnd told when ExaBGP is gone or about to be */
  constructor(options: ExabgpOptions, input: Readable, output: Writable, onEnd: () => void) {
    this.#options = options;
    this.#output = output;
    const lines = createInterface({ input });
    lines.on('line', (line) => {
      if (line === 'done' || line === 'error') this.#waiting.shift()?.(line);
      if (line === 'shutdown') onEnd();
    });
    lines.on('close', onEnd);
  }

  /** @throws CanopyError `conflict` where ExaBGP refuses an announcement */
  async set(announced: boolean): Promise<void> {
    const commands = commandsOf(announced, this.#options);
    const answers = commands.map((command) => this.#say(command));
    // It also answers `error` to the withdrawal of what it does not announce.
    if ((await Promise.all(answers)).includes('error') && announced) {
      throw new CanopyError('conflict', `ExaBGP refuses "${commands.join('; ')}"`);
    }
  }

  #say(command: string): Promise<string> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve('silence'), ACK_LIMIT_MS);
      this.#waiting.push((answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.#output.write(`${command}\n`);
    });
  }
}
