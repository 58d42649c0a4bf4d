import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Drives the real `canopy` command and real clients, each as a process.

const ENTRY = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Place {
  readonly name: string;
  readonly url: string;
  readonly adminUrl: string;
  readonly tlsUrl?: string;
  readonly pid: number;
  readonly location: { readonly name: string };
}

export interface RouterPlace extends Place {
  readonly dns: { readonly host: string; readonly port: number };
}

/** What `--ready-file` tells. */
export interface ReadyFile {
  readonly edges: readonly Place[];
  readonly midTiers: readonly Place[];
  readonly origin: Place | null;
  readonly origins: readonly Place[];
  readonly routers: readonly RouterPlace[];
  readonly controlPlane: {
    readonly url: string;
    readonly adminUrl: string;
    readonly token: string;
    readonly pid: number;
  };
  /** All replicas, the one above among them. */
  readonly controlPlanes: readonly {
    readonly url: string;
    readonly adminUrl: string;
    readonly pid: number;
  }[];
}

interface RunOptions {
  /** Standard input. */
  readonly input?: string;
  readonly cwd?: string;
}

/** Runs `canopy` to its end. */
export const canopy = (args: readonly string[], options?: RunOptions): Promise<Finished> =>
  run(process.execPath, [ENTRY, ...args], options);

/** Runs `canopy` on a terminal, where somebody types `input`; what the terminal shows. */
export const onTerminal = (args: readonly string[], input: string): Promise<Finished> => {
  // A terminal of CI has no colours.
  const coloured = ['env', '--unset=CI', 'TERM=xterm-256color'];
  const words = [...coloured, process.execPath, ENTRY, ...args];
  const command = words.map((word) => `'${word}'`).join(' ');
  return run('script', ['--quiet', '--return', '--command', command, '/dev/null'], { input });
};

/** One request by curl: status, header section and body as they came. */
export async function curl(...args: readonly string[]) {
  const { code, stdout, stderr } = await run('curl', ['-sS', '-i', '--max-time', '20', ...args]);
  if (code !== 0) throw new Error(`curl ${args.join(' ')}: ${stderr}`);
  const [head = '', ...rest] = stdout.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const all = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  const fields = new Map(all);
  return {
    /** Every field line; of those with one name, `fields` has the last. */
    all,
    status: Number(statusLine.split(' ')[1]),
    cacheStatus: fields.get('cache-status') ?? '',
    fields,
    body: rest.join('\r\n\r\n'),
  };
}

function run(
  command: string,
  args: readonly string[],
  { input, cwd }: RunOptions = {},
): Promise<Finished> {
  return new Promise((resolve) => {
    const child = execFile(command, args, { env: environment(), cwd }, (error, stdout, stderr) => {
      const code = error === null ? 0 : (child.exitCode ?? -1);
      resolve({ code, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

/** A `canopy` command that goes on until it is ended. */
export class LongRunning {
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #listeners = new Set<() => void>();
  stdout = '';
  stderr = '';

  constructor(
    args: readonly string[],
    options: {
      cwd?: string;
      environment?: Readonly<Record<string, string>>;
      /** The command of another build. */
      entry?: string;
    } = {},
  ) {
    const child = spawn(process.execPath, [options.entry ?? ENTRY, ...args], {
      cwd: options.cwd,
      env: { ...environment(), ...options.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.#heard('stdout', text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#heard('stderr', text));
    this.#process = child;
    this.#closed = once(child, 'close');
  }

  /** Resolves once its output has `words`; rejects if it ends before. */
  async says(words: string): Promise<void> {
    const heard = new Promise<void>((resolve) => {
      const listen = (): void => {
        if ((this.stdout + this.stderr).includes(words)) resolve();
      };
      this.#listeners.add(listen);
      listen();
    });
    const ended = this.#closed.then(() => {
      throw new Error(`It ended without saying "${words}": ${this.stderr}`);
    });
    await Promise.race([heard, ended]);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Reads its standard output no more, so that the pipe fills up. */
  leaveUnread(): void {
    this.#process.stdout?.pause();
  }

  /** Ends the reading of its standard output, as `head` does. */
  closeOutput(): void {
    this.#process.stdout?.destroy();
  }

  /** Sends a signal. @returns the exit code once it has ended */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.#process.kill(signal);
    await this.#closed;
    return this.#process.exitCode;
  }

  #heard(stream: 'stdout' | 'stderr', text: string): void {
    this[stream] += text;
    for (const listen of this.#listeners) listen();
  }
}

/** A `canopy up` that serves. */
export class RunningUp extends LongRunning {
  readonly dir: string;
  #ready: ReadyFile | undefined;

  private constructor(dir: string, args: readonly string[]) {
    super(['up', '--port', '0', '--dir', dir, '--ready-file', join(dir, 'ready.json'), ...args]);
    this.dir = dir;
  }

  /** Starts on free ports with state in `dir`, and waits until it says that all serves. */
  static async start(dir: string, ...args: readonly string[]): Promise<RunningUp> {
    const up = new RunningUp(dir, args);
    await up.says('Ctrl-C stops the network');
    up.#ready = JSON.parse(await readFile(join(dir, 'ready.json'), 'utf8')) as ReadyFile;
    return up;
  }

  get ready(): ReadyFile {
    if (this.#ready === undefined) throw new Error('It does not serve yet');
    return this.#ready;
  }

  get places(): readonly Pick<Place, 'url' | 'adminUrl' | 'pid'>[] {
    const { edges, midTiers, origin, controlPlane } = this.ready;
    return [...edges, ...midTiers, ...(origin === null ? [] : [origin]), controlPlane];
  }

  /** Runs a command against this network. */
  command(...args: readonly string[]): Promise<Finished> {
    return canopy([...args, '--dir', this.dir]);
  }
}

/** Sends a node's process a signal. */
export function kill(place: Place | null | undefined, signal: NodeJS.Signals): void {
  // 0 would be the tests' own process group.
  if (!place || place.pid <= 0) throw new Error('There is no such process');
  process.kill(place.pid, signal);
}

/** Whether there is a process of this id. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** What a developer's shell may have set is not meant for the tests. */
const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CANOPY_')));
