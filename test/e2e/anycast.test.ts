import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createOrigin } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '#test/eventually.ts';
import { canopy, kill, LongRunning, RunningUp } from './canopy.ts';

// A router (BIRD) that a real ExaBGP, and another real BIRD, announce a prefix to by BGP.

const ENTRY = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const run = promisify(execFile);
const SAMPLES = fileURLToPath(new URL('../../deploy/anycast/', import.meta.url));
const ROUTER = '127.0.0.2';
const BY_EXABGP = '192.0.2.0/24';
const BY_BIRD = '198.51.100.0/24';

/** Has one object, which stays fresh. */
const origin = createOrigin((_, outgoing) => {
  outgoing.setHeader('Cache-Control', 'max-age=3600').end('here\n');
});
let dir: string;
let up: RunningUp;
let router: Bird;
let bird: Bird;
let ports: { router: number; bird: number };

async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A real program; ended at the end of the tests. */
class Program {
  readonly process: ChildProcess;
  said = '';

  constructor(command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    this.process = spawn(command, args, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.said += text));
    }
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill(signal);
    await once(this.process, 'exit');
  }
}

class Bird {
  readonly socket: string;
  readonly #program: Program;

  private constructor(program: Program, socket: string) {
    this.#program = program;
    this.socket = socket;
  }

  static async start(name: string, config: string): Promise<Bird> {
    const file = join(dir, `${name}.conf`);
    const socket = join(dir, `${name}.ctl`);
    await writeFile(file, config);
    const args = ['-f', '-c', file, '-s', socket, '-P', join(dir, `${name}.pid`)];
    const started = new Bird(new Program('bird', args), socket);
    await eventually(() => started.ask('show status'));
    return started;
  }

  async ask(...command: readonly string[]): Promise<string> {
    const { stdout } = await run('birdc', ['-s', this.socket, ...command]);
    return stdout;
  }

  end(): Promise<void> {
    return this.#program.end();
  }
}

/** Whether the router has the route, by BGP. */
const has = async (prefix: string): Promise<boolean> =>
  (await router.ask('show', 'route')).includes(`${prefix} `);

/** The arguments of `canopy announce`. */
function announcing(...args: readonly string[]): string[] {
  const [edge] = up.ready.edges;
  return ['announce', '--edge', edge?.url ?? '', '--admin', edge?.adminUrl ?? '']
    .concat([
      '--object',
      `${edge?.url}/anycast.txt`,
      '--rise',
      '2',
      '--timeout',
      '1s',
      '--hold-down',
      '0s',
    ])
    .concat(args);
}

/** The last process that an announcer says of itself, or of its checker. */
const pidIn = (text: string, key: 'pid' | 'checker'): number =>
  Number(
    text
      .match(new RegExp(`"${key}":\\d+`, 'g'))
      ?.at(-1)
      ?.split(':')[1],
  );

function killLast(text: string, key: 'pid' | 'checker'): void {
  const pid = pidIn(text, key);
  if (!(pid > 0)) throw new Error(`No ${key} is told in: ${text}`);
  process.kill(pid, 'SIGKILL');
}

/** The edge answers nothing any more, until the test has ended. */
const hang = (): void => kill(up.ready.edges[0], 'SIGSTOP');
afterEach(() => kill(up.ready.edges[0], 'SIGCONT'));

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-anycast-'));
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const pull = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
  const size = ['--edges', '1', '--mid-tiers', '1'];
  up = await RunningUp.start(join(dir, 'up'), ...size, '--pull', pull);

  ports = { router: await freePort(ROUTER), bird: await freePort('127.0.0.3') };
  router = await Bird.start(
    'router',
    `router id 127.0.0.2;
     protocol device {}
     template bgp announcer {
       local ${ROUTER} port ${ports.router} as 65001;
       multihop; passive yes; strict bind yes;
       ipv4 { import all; export none; };
     }
     protocol bgp from_exabgp from announcer { neighbor 127.0.0.1 as 65002; }
     protocol bgp from_bird from announcer { neighbor 127.0.0.3 as 65003; }`,
  );
  // As the sample, on other addresses, ports and paths.
  const sample = await readFile(join(SAMPLES, 'bird.conf'), 'utf8');
  bird = await Bird.start(
    'bird',
    sample
      .replace('/run/canopy/', `${dir}/include-`)
      .replace(
        'local 198.51.100.2 as 65002',
        `local 127.0.0.3 port ${ports.bird} as 65003; multihop; strict bind yes; connect delay time 1`,
      )
      .replace('neighbor 198.51.100.1 as', `neighbor ${ROUTER} port ${ports.router} as`),
  );
});

afterAll(async () => {
  await up?.end('SIGTERM');
  await bird?.end();
  await router?.end();
  origin.close();
  await rm(dir, { recursive: true, force: true });
});

describe('by ExaBGP', () => {
  let exabgp: Program;

  beforeEach(async () => {
    const sample = await readFile(join(SAMPLES, 'exabgp.conf'), 'utf8');
    const command = [
      process.execPath,
      ENTRY,
      ...announcing('--via', 'exabgp', '--prefix', BY_EXABGP),
    ];
    const config = join(dir, 'exabgp.conf');
    await writeFile(
      config,
      sample
        .replace(/run .*;/, `run ${command.join(' ')};`)
        .replace('neighbor 198.51.100.1 {', `neighbor ${ROUTER} {\n    connect ${ports.router};`)
        .replace('local-address 198.51.100.2', 'local-address 127.0.0.1'),
    );
    exabgp = new Program('exabgp', [config], {
      'exabgp.daemon.user': userInfo().username,
      'exabgp.api.cli': 'false',
    });
  });
  afterEach(() => exabgp.end());

  test('the route is there while the edge is well, and not while it hangs or drains', async () => {
    const [edge] = up.ready.edges;
    await expect.poll(() => has(BY_EXABGP)).toBe(true);
    hang();
    await expect.poll(() => has(BY_EXABGP)).toBe(false);
    kill(edge, 'SIGCONT');
    await expect.poll(() => has(BY_EXABGP)).toBe(true);
    await up.command('nodes', 'drain', 'edge-oslo');
    await expect.poll(() => has(BY_EXABGP)).toBe(false);
    expect(exabgp.said).toContain('"reason":"draining"');
    await up.command('nodes', 'resume', 'edge-oslo');
    await expect.poll(() => has(BY_EXABGP)).toBe(true);
  });

  test('it is withdrawn when the checker is killed', async () => {
    await expect.poll(() => has(BY_EXABGP)).toBe(true);
    killLast(exabgp.said, 'checker');
    hang();
    await expect.poll(() => has(BY_EXABGP)).toBe(false);
    expect(exabgp.said).toContain('"reason":"checker-died"');
  });

  test('it is withdrawn when the announcer is killed, by the one that ExaBGP starts then', async () => {
    await expect.poll(() => has(BY_EXABGP)).toBe(true);
    killLast(exabgp.said, 'pid');
    // So that nothing announces it again.
    hang();
    await expect.poll(() => has(BY_EXABGP)).toBe(false);
  });
});

const viaBird = (...args: readonly string[]): string[] =>
  ['--via', 'bird', '--include', join(dir, 'include-anycast.conf'), '--socket', bird.socket]
    .concat(['--prefix', BY_BIRD])
    .concat(args);

describe('by BIRD', () => {
  let announcer: LongRunning;
  beforeEach(() => {
    announcer = new LongRunning(announcing(...viaBird()));
  });
  afterEach(() => announcer.end('SIGTERM'));

  test('the route is there while the edge is well, and not while it drains', async () => {
    await expect.poll(() => has(BY_BIRD)).toBe(true);
    await up.command('nodes', 'drain', 'edge-oslo');
    await expect.poll(() => has(BY_BIRD)).toBe(false);
    expect(announcer.stderr).toContain('"reason":"draining"');
    await up.command('nodes', 'resume', 'edge-oslo');
    await expect.poll(() => has(BY_BIRD)).toBe(true);
    expect(await announcer.end('SIGTERM')).toBe(0);
    await expect.poll(() => has(BY_BIRD)).toBe(false);
  });

  test('it is withdrawn when the checker is killed', async () => {
    await expect.poll(() => has(BY_BIRD)).toBe(true);
    killLast(announcer.stderr, 'checker');
    hang();
    await expect.poll(() => has(BY_BIRD)).toBe(false);
    expect(announcer.stderr).toContain('"reason":"checker-died"');
  });

  test('it is withdrawn when the announcer is killed, by its checker', async () => {
    await expect.poll(() => has(BY_BIRD)).toBe(true);
    await announcer.end('SIGKILL');
    await expect.poll(() => has(BY_BIRD)).toBe(false);
  });

  test('it is withdrawn by what systemd runs after both were killed', async () => {
    await expect.poll(() => has(BY_BIRD)).toBe(true);
    const checker = pidIn(announcer.stderr, 'checker');
    // It cannot withdraw any more when the other dies.
    process.kill(checker, 'SIGSTOP');
    killLast(announcer.stderr, 'pid');
    process.kill(checker, 'SIGKILL');
    await announcer.end('SIGKILL');
    expect(await has(BY_BIRD)).toBe(true);
    expect(await canopy(['announce', ...viaBird('--withdraw')])).toMatchObject({ code: 0 });
    await expect.poll(() => has(BY_BIRD)).toBe(false);
  });
});

test.each([
  [['--via', 'gobgp', '--prefix', BY_BIRD], 'exabgp, bird'],
  [['--via', 'bird', '--prefix', '192.0.2.0'], '192.0.2.0/24'],
  [['--via', 'bird', '--prefix', BY_BIRD], '--object'],
  [['--via', 'bird', '--prefix', BY_BIRD, '--object', '/a'], 'http or https'],
  [['--via', 'exabgp', '--prefix', BY_BIRD, '--withdraw'], '--via bird'],
])('%j is refused', async (args, words) => {
  const { code, stdout, stderr } = await canopy(['announce', ...args]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain(words);
});
