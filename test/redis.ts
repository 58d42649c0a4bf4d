import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A real Redis of its own, on loopback, that keeps its data over kill and restart. */
export class RedisServer {
  readonly port: number;
  readonly #dir: string;
  readonly #options: readonly string[];
  /** What it says once it serves. */
  readonly #ready: string;
  #process: ChildProcess | undefined;

  private constructor(port: number, dir: string, options: readonly string[], ready: string) {
    this.port = port;
    this.#dir = dir;
    this.#options = options;
    this.#ready = ready;
  }

  /** @param options as on the command line of redis-server */
  static async start(...options: string[]): Promise<RedisServer> {
    const dir = await temporaryDir();
    const port = await freePort();
    const own = ['--port', `${port}`, '--dir', dir, '--bind', '127.0.0.1'];
    const durable = ['--appendonly', 'yes', '--save', ''];
    const all = [...own, ...durable, ...options];
    return RedisServer.#run(port, dir, all, 'Ready to accept connections');
  }

  /** A sentinel that watches `master` under `name`. */
  static async startSentinel(name: string, master: RedisServer): Promise<RedisServer> {
    const dir = await temporaryDir();
    const port = await freePort();
    const file = join(dir, 'sentinel.conf');
    const watched = `sentinel monitor ${name} 127.0.0.1 ${master.port} 1`;
    await writeFile(file, `port ${port}\nbind 127.0.0.1\ndir ${dir}\n${watched}\n`);
    return RedisServer.#run(port, dir, [file, '--sentinel'], '+monitor');
  }

  static async #run(port: number, dir: string, options: readonly string[], ready: string) {
    const server = new RedisServer(port, dir, options, ready);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const child = spawn('redis-server', this.#options, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#process = child;
    let said = '';
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      said += chunk.toString();
      if (said.includes(this.#ready)) break;
    }
    if (child.exitCode !== null) throw new Error(`redis-server ended: ${said}`);
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    this.#process = undefined;
  }

  /** Sends one command. */
  async command(command: string, ...values: string[]): Promise<unknown> {
    const client = new Redis(this.port, '127.0.0.1');
    try {
      return await client.call(command, ...values);
    } finally {
      client.disconnect();
    }
  }

  async end(): Promise<void> {
    await this.kill();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

const temporaryDir = (): Promise<string> => mkdtemp(join(tmpdir(), 'canopy-redis-'));
