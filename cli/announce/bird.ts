import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CanopyError, messageOf } from '#core/errors.ts';
import { writeFileWhole } from '../atomic-file.ts';
import type { Outlet } from './outlet.ts';

export interface BirdOptions {
  readonly prefixes: readonly string[];
  /** What BIRD's configuration includes. */
  readonly includeFile: string;
  readonly birdc: string;
  /** BIRD's control socket; the one that `birdc` has built in where left out. */
  readonly socket?: string | undefined;
}

const BIRDC_LIMIT_MS = 5_000;
/** `birdc` exits with 0 whatever BIRD says. Reconfigured, or in progress, or queued, or nothing to do. */
const ACCEPTED = /^(?:0003|0004|0018|0019)[ -]/m;

/** The include file: a static protocol for each family, which has routes only while they are announced. */
export function includeOf(announced: boolean, prefixes: readonly string[]): string {
  const families = [4, 6].map((family) => {
    const own = prefixes.filter((prefix) => prefix.includes(':') === (family === 6));
    const routes = announced ? own.map((prefix) => `  route ${prefix} blackhole;\n`) : [];
    return `protocol static canopy_anycast${family} {\n  ipv${family};\n${routes.join('')}}\n`;
  });
  return `# Written by canopy announce: ${announced ? 'announced' : 'withdrawn'}.\n${families.join('')}`;
}

/** Switches a file that BIRD's configuration includes, and has BIRD read it. */
export class Bird implements Outlet {
  readonly #options: BirdOptions;

  constructor(options: BirdOptions) {
    this.#options = options;
  }

  /** @throws CanopyError `conflict` where BIRD refuses its configuration, `unavailable` where it cannot be asked */
  async set(announced: boolean): Promise<void> {
    const { prefixes, includeFile } = this.#options;
    // First the file: a BIRD that is down reads it when it starts.
    await writeFileWhole(includeFile, includeOf(announced, prefixes), 0o644);
    const said = await this.#configure();
    if (!ACCEPTED.test(said)) {
      throw new CanopyError('conflict', `BIRD refuses its configuration: ${said.trim()}`);
    }
  }

  async #configure(): Promise<string> {
    const { birdc, socket } = this.#options;
    const at = socket === undefined ? [] : ['-s', socket];
    try {
      const run = promisify(execFile)(birdc, ['-v', ...at, 'configure'], {
        timeout: BIRDC_LIMIT_MS,
      });
      run.child.stdin?.end();
      return (await run).stdout;
    } catch (cause) {
      throw new CanopyError('unavailable', `Cannot ask BIRD: ${messageOf(cause)}`, { cause });
    }
  }
}
