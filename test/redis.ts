import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
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
  #process: ChildProcess | undefined;

  private constructor(port: number, dir: string, options: readonly string[]) {
    this.port = port;
    this.#dir = dir;
    this.#options = options;
  }

  /** @param options as on the command line of redis-server */
  static async start(...options: string[]): Promise<RedisServer> {
    const dir = await mkdtemp(join(tmpdir(), 'canopy-redis-'));
    const server = new RedisServer(await freePort(), dir, options);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const own = ['--port', `${this.port}`, '--dir', this.#dir, '--bind', '127.0.0.1'];
    const durable = ['--appendonly', 'yes', '--save', ''];
    const child = spawn('redis-server', [...own, ...durable, ...this.#options], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#process = child;
    let said = '';
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      said += chunk.toString();
      if (said.includes('Ready to accept connections')) break;
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
