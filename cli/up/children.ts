import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { type Clock, delay } from '#core/clock.ts';
import { CanopyError } from '#core/errors.ts';

const ENTRY = fileURLToPath(new URL('../main.ts', import.meta.url));
const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 10_000;
const LOG_LINES_SHOWN = 10;

const readySchema = z.object({
  ready: z.literal(true),
  url: z.string(),
  adminUrl: z.string(),
  tlsUrl: z.string().optional(),
  dns: z.object({ host: z.string(), port: z.int() }).optional(),
});

/** What to run: a `canopy` command, and secrets by environment. */
export interface ChildCommand {
  readonly name: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export interface RunningChild {
  readonly name: string;
  readonly pid: number;
  readonly url: string;
  readonly adminUrl: string;
  /** Of an edge that serves TLS. */
  readonly tlsUrl?: string;
  /** Of a router. */
  readonly dns?: { readonly host: string; readonly port: number };
}

/** The child processes of one `canopy up`, each a `canopy` command of its own. */
export class Children {
  readonly #logDir: string;
  readonly #clock: Clock;
  readonly #report: (text: string) => void;
  readonly #processes = new Map<string, ChildProcess>();
  #stopping = false;

  /** @param report told which child ended unasked, and the end of the log of one that did not start */
  constructor(logDir: string, clock: Clock, report: (text: string) => void) {
    this.#logDir = logDir;
    this.#clock = clock;
    this.#report = report;
  }

  /**
   * Starts a child and waits until it serves.
   * @throws CanopyError if it ends, or takes too long, before that
   */
  async start(command: ChildCommand): Promise<RunningChild> {
    const { name } = command;
    await mkdir(this.#logDir, { recursive: true });
    const logFile = join(this.#logDir, `${name}.log`);
    const log = await open(logFile, 'w', 0o600);
    let child: ChildProcess;
    try {
      if (this.#stopping) throw new CanopyError('unavailable', `${name} is not started any more`);
      child = fork(ENTRY, command.arguments, {
        env: { ...withoutOwnVariables(process.env), ...command.environment },
        stdio: ['ignore', log.fd, log.fd, 'ipc'],
        // A group of its own: Ctrl-C reaches only `up`, which then stops them in order.
        detached: true,
      });
    } finally {
      await log.close();
    }
    this.#processes.set(name, child);
    child.once('exit', () => this.#processes.delete(name));

    const answer = await Promise.race([
      once(child, 'message').then(([message]: unknown[]) => readySchema.parse(message)),
      ending(child),
      delay(this.#clock, START_LIMIT_MS).then(() => `does not serve after ${START_LIMIT_MS} ms`),
    ]);
    if (typeof answer === 'string') {
      if (!this.#stopping) this.#report(await endOf(logFile));
      throw new CanopyError('unavailable', `${name} ${answer}; its log is ${logFile}`);
    }
    void ending(child).then((how) => {
      if (!this.#stopping) this.#report(`${name} (pid ${child.pid}) ${how}`);
    });
    const { url, adminUrl, tlsUrl, dns } = answer;
    return {
      name,
      pid: child.pid ?? 0,
      url,
      adminUrl,
      ...(tlsUrl !== undefined && { tlsUrl }),
      ...(dns !== undefined && { dns }),
    };
  }

  /** Stops the named children together: SIGTERM, and after a limit SIGKILL. Resolves once they are gone. */
  async stop(names: readonly string[]): Promise<void> {
    this.#stopping = true;
    const running = names
      .map((name) => this.#processes.get(name))
      .filter((child) => child !== undefined);
    const allGone = Promise.all(running.map(ending));
    for (const child of running) child.kill('SIGTERM');
    await Promise.race([allGone, delay(this.#clock, STOP_LIMIT_MS)]);
    for (const child of running) child.kill('SIGKILL');
    await allGone;
  }

  /** Ends every child at once, however it is. Resolves once they are gone. */
  async kill(): Promise<void> {
    this.#stopping = true;
    const running = [...this.#processes.values()];
    for (const child of running) child.kill('SIGKILL');
    await Promise.all(running.map(ending));
  }

  /** Names of those that still run. */
  get names(): readonly string[] {
    return [...this.#processes.keys()];
  }
}

async function endOf(logFile: string): Promise<string> {
  const lines = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-LOG_LINES_SHOWN);
  return lines.map((line) => `  ${line}`).join('\n');
}

/** How `child` ended, once it has. */
async function ending(child: ChildProcess): Promise<string> {
  if (child.exitCode === null && child.signalCode === null) {
    await Promise.race([once(child, 'exit'), once(child, 'error')]);
  }
  return child.signalCode === null
    ? `exited with code ${child.exitCode}`
    : `was ended by ${child.signalCode}`;
}

/** What a shell sets for one `canopy` command is not meant for each of its children. */
function withoutOwnVariables(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !name.startsWith('CANOPY_')),
  );
}
