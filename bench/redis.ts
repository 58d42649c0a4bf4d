import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Redis } from 'ioredis';

const CHANNEL = 'purges';

/** A bare Redis that writes nothing down, with those who subscribe to it. */
export class BenchRedis {
  readonly client: Redis;
  readonly #child: ChildProcess;
  readonly #subscribers: readonly Redis[];

  private constructor(child: ChildProcess, client: Redis, subscribers: readonly Redis[]) {
    this.#child = child;
    this.client = client;
    this.#subscribers = subscribers;
  }

  static async start(subscribers: number): Promise<BenchRedis> {
    const port = await freePort();
    const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', ''];
    const child = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const chunk of child.stdout) {
      if (String(chunk).includes('Ready to accept connections')) break;
    }
    child.stdout.resume();
    const connect = (): Redis => new Redis(port, '127.0.0.1');
    const listening = Array.from({ length: subscribers }, connect);
    await Promise.all(listening.map((one) => one.subscribe(CHANNEL)));
    return new BenchRedis(child, connect(), listening);
  }

  /** Publishes `count` messages at once, and resolves when every subscriber has had all of them. */
  async publish(message: string, count = 1): Promise<void> {
    const arrived = this.#subscribers.map(
      (subscriber) =>
        new Promise<void>((resolve) => {
          let left = count;
          const take = (): void => {
            if (--left > 0) return;
            subscriber.off('message', take);
            resolve();
          };
          subscriber.on('message', take);
        }),
    );
    for (let i = 0; i < count; i++) void this.client.publish(CHANNEL, message);
    await Promise.all(arrived);
  }

  async close(): Promise<void> {
    for (const one of [this.client, ...this.#subscribers]) one.disconnect();
    const ended = once(this.#child, 'exit');
    this.#child.kill();
    await ended;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
