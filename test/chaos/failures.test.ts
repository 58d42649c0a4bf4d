import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { kill, type Place, RunningUp } from '../e2e/canopy.ts';
import { bodyOf, OBJECTS } from './content.ts';
import type { Behaviour, Told } from './origin.ts';

// Everything that a client could notice fails in turn, under load, on real processes. While a parent
// or a stale copy is left nobody notices, but for the wait.

const ORIGIN = fileURLToPath(new URL('./origin.ts', import.meta.url));
const REQUESTS_PER_SECOND = 300;
/** How long each failure lasts. */
const FAILURE_MS = 3000;
/** From the first request that an origin gets which has come back. */
const RECOVERY_MS = 2000;
/** What is well again is left alone for so long. */
const CALM_MS = 1000;

/** The customer's server, on one port whatever becomes of its process. */
class Origin {
  readonly port: number;
  #process: ChildProcess | undefined;
  /** Requests of the process that runs now. */
  requests = 0;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(): Promise<Origin> {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as AddressInfo;
    probe.close();
    const origin = new Origin(port);
    await origin.up();
    return origin;
  }

  async up(): Promise<void> {
    this.requests = 0;
    const child = fork(ORIGIN, [String(this.port)]);
    child.on('message', ({ requests }: Told) => {
      this.requests = requests;
    });
    this.#process = child;
    await once(child, 'message');
  }

  behaves(behaviour: Behaviour): void {
    this.#process?.send(behaviour);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  async down(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

let root: string;
let origin: Origin;
let up: RunningUp;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-chaos-'));
  origin = await Origin.start();
  const pull = `http://127.0.0.1:${origin.port}`;
  up = await RunningUp.start(join(root, 'state'), '--pull', pull, '--edges', '1');
});

afterAll(async () => {
  await up.end('SIGKILL');
  await origin.down();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

/** What clients have seen. */
interface Seen {
  readonly wrong: string[];
  /** Whether objects that nobody has asked for yet are asked for, too: only a parent has them. */
  cold: boolean;
}

function load(
  url: string,
  seen: Seen,
): { running: autocannon.Instance; result: Promise<autocannon.Result> } {
  let count = 0;
  const result = Promise.withResolvers<autocannon.Result>();
  const options: autocannon.Options = {
    url,
    connections: 12,
    overallRate: REQUESTS_PER_SECOND,
    duration: 300,
    timeout: 20,
    requests: [
      {
        setupRequest: (request, context) => {
          count++;
          const isCold = seen.cold && count % 10 === 0;
          const path = isCold ? `/cold/${1000 + count}` : `/${(count * 7) % OBJECTS}`;
          Object.assign(context, { path });
          return { ...request, path };
        },
        onResponse: (status, body, context) => {
          const { path } = context as { path: string };
          if (status !== 200) seen.wrong.push(`${path}: status ${status}`);
          else if (body !== bodyOf(path).toString()) {
            seen.wrong.push(`${path}: ${body.length} bytes`);
          }
        },
      },
    ],
  };
  const running = autocannon(options, (error: unknown, told) =>
    error === null ? result.resolve(told) : result.reject(error),
  );
  return { running, result: result.promise };
}

/** Stops and continues a process by turns, so that it gets a fifth of the time. */
async function slow(place: Place): Promise<void> {
  for (let i = 0; i < FAILURE_MS / 250; i++) {
    kill(place, 'SIGSTOP');
    await pause(200);
    kill(place, 'SIGCONT');
    await pause(50);
  }
}

test(
  'whatever is killed, stopped, slowed or cut, clients get their bytes',
  { timeout: 120_000 },
  async () => {
    const [edge] = up.ready.edges;
    const { midTiers } = up.ready;
    const seen: Seen = { wrong: [], cold: true };
    const { running, result } = load(edge?.url ?? '', seen);
    onTestFinished(() => running.stop());
    const waits: [failure: string, ms: number][] = [];
    let longestMs = 0;
    running.on('response', (_client, _status, _bytes, ms) => {
      longestMs = Math.max(longestMs, ms);
    });
    const during = async (failure: string, happen: () => Promise<void>): Promise<void> => {
      longestMs = 0;
      await happen();
      await pause(CALM_MS);
      waits.push([failure, Math.round(longestMs)]);
      expect({ failure, wrong: seen.wrong }).toEqual({ failure, wrong: [] });
    };

    await pause(CALM_MS);
    for (const midTier of midTiers) {
      await during(`${midTier.name} stopped`, async () => {
        kill(midTier, 'SIGSTOP');
        await pause(FAILURE_MS);
        kill(midTier, 'SIGCONT');
      });
      await during(`${midTier.name} slow`, () => slow(midTier));
    }
    await during('origin cuts bodies', async () => {
      origin.behaves({ delayMs: 0, cuts: true });
      await pause(FAILURE_MS);
      origin.behaves({ delayMs: 0, cuts: false });
    });
    await during('origin slow', async () => {
      origin.behaves({ delayMs: 800, cuts: false });
      await pause(FAILURE_MS);
      origin.behaves({ delayMs: 0, cuts: false });
    });
    // From here on only what is held can be had.
    seen.cold = false;
    await pause(1000);
    await during('origin stopped', async () => {
      origin.signal('SIGSTOP');
      await pause(FAILURE_MS);
      origin.signal('SIGCONT');
    });
    await during('origin killed', async () => {
      await origin.down();
      await pause(FAILURE_MS);
      await origin.up();
      while (origin.requests === 0) await pause(50);
      await pause(RECOVERY_MS);
    });
    // Everything has expired in the meantime. Each mid-tier renews each object once a second.
    const seconds = (RECOVERY_MS + CALM_MS) / 1000;
    const recovery = origin.requests;
    // It is asked again at all; how soon for all of them is up to backoffs.
    expect(recovery).toBeGreaterThan(OBJECTS / 4);
    expect(recovery).toBeLessThanOrEqual(OBJECTS * midTiers.length * (seconds + 1));
    seen.cold = true;
    for (const midTier of midTiers) {
      await during(`${midTier.name} killed`, async () => {
        kill(midTier, 'SIGKILL');
        await pause(FAILURE_MS);
      });
    }

    running.stop();
    const { errors, timeouts, non2xx, requests } = await result;
    process.stdout.write(
      `${requests.total} requests; longest waits in ms: ${waits.map((wait) => wait.join(' ')).join(', ')}; ` +
        `${recovery} origin requests in the ${seconds} s after it was asked again\n`,
    );
    expect({ errors, timeouts, non2xx }).toEqual({
      errors: 0,
      timeouts: 0,
      non2xx: 0,
    });
  },
);
