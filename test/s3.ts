import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BucketAlreadyOwnedByYou, CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, vi } from 'vitest';
import { freePort } from './redis.ts';

export const BUCKET = 'canopy';
const ACCESS_KEY = 'canopy:test';
export const SECRET_KEY = 'secret-key-of-the-tests';

/** Four Python servers take a while on a machine that has much to do. */
const START_TIMEOUT_MS = 120_000;

/** The servers of OpenStack Swift that keep accounts, buckets and objects. */
const KEEPERS = ['account', 'container', 'object'] as const;

type Ports = Readonly<Record<(typeof KEEPERS)[number], number>>;

/**
 * A real S3-compatible service of its own, on loopback: OpenStack Swift, as Debian has it. Knows
 * neither conditional writes nor checksums beyond those of signatures.
 */
export class S3Service {
  readonly #dir: string;
  readonly #port: number;
  readonly #ports: Ports;
  readonly #processes: ChildProcess[] = [];

  private constructor(dir: string, port: number, ports: Ports) {
    this.#dir = dir;
    this.#port = port;
    this.#ports = ports;
  }

  static async start(): Promise<S3Service> {
    const dir = await mkdtemp(join(tmpdir(), 'canopy-s3-'));
    const ports = {
      account: await freePort(),
      container: await freePort(),
      object: await freePort(),
    };
    const service = new S3Service(dir, await freePort(), ports);
    try {
      await service.#configure();
      await service.run();
    } catch (error) {
      await service.end();
      throw error;
    }
    return service;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts it, with what it had before. */
  async run(): Promise<void> {
    for (const name of [...KEEPERS, 'proxy']) {
      const args = [join(this.#dir, `${name}.conf`)];
      this.#processes.push(spawn(`swift-${name}-server`, args, { stdio: 'ignore' }));
    }
    const client = this.client();
    const create = () =>
      client.send(new CreateBucketCommand({ Bucket: BUCKET })).catch((error: unknown) => {
        if (!(error instanceof BucketAlreadyOwnedByYou)) throw error;
      });
    await vi.waitFor(create, { timeout: START_TIMEOUT_MS, interval: 100 });
    client.destroy();
  }

  client(): S3Client {
    return new S3Client({
      endpoint: this.endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      maxAttempts: 1,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
    });
  }

  /** What a process needs to know to use it. */
  get environment(): Readonly<Record<string, string>> {
    return {
      AWS_ACCESS_KEY_ID: ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: SECRET_KEY,
      AWS_REGION: 'us-east-1',
    };
  }

  /** Stops it where it is: connections are taken, and nobody answers. */
  pause(): void {
    for (const child of this.#processes) child.kill('SIGSTOP');
  }

  async kill(): Promise<void> {
    await Promise.all(
      this.#processes.splice(0).map(async (child) => {
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }),
    );
  }

  async end(): Promise<void> {
    await this.kill();
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #configure(): Promise<void> {
    const dir = this.#dir;
    mkdirSync(join(dir, 'devices', 'd1'), { recursive: true });
    for (const name of KEEPERS) {
      const builder = join(dir, `${name}.builder`);
      const ring = (...args: string[]) => execFileSync('swift-ring-builder', [builder, ...args]);
      ring('create', '1', '1', '0');
      ring('add', `r1z1-127.0.0.1:${this.#ports[name]}/d1`, '1');
      ring('rebalance');
      const config = { ...this.#defaults(this.#ports[name]), devices: join(dir, 'devices') };
      await writeFile(
        join(dir, `${name}.conf`),
        section('DEFAULT', { ...config, mount_check: 'false', fallocate_reserve: '0' }) +
          section('pipeline:main', { pipeline: `${name}-server` }) +
          section(`app:${name}-server`, { use: `egg:swift#${name}` }),
      );
    }
    const filter = (name: string, values: Readonly<Record<string, string>> = {}): string =>
      section(`filter:${name}`, { use: `egg:swift#${name}`, ...values });
    await writeFile(
      join(dir, 'proxy.conf'),
      section('DEFAULT', this.#defaults(this.#port)) +
        section('pipeline:main', {
          pipeline: 'catch_errors memcache s3api tempauth slo proxy-server',
        }) +
        section('app:proxy-server', {
          use: 'egg:swift#proxy',
          allow_account_management: 'true',
          account_autocreate: 'true',
        }) +
        filter('catch_errors') +
        // Nothing is cached: there is no such server.
        filter('memcache', { memcache_servers: '127.0.0.1:1' }) +
        filter('s3api', { location: 'us-east-1', min_segment_size: '1' }) +
        filter('tempauth', { user_canopy_test: `${SECRET_KEY} .admin` }) +
        filter('slo'),
    );
  }

  #defaults(port: number): Readonly<Record<string, string>> {
    const { USER: user = 'root' } = process.env;
    const address = { bind_ip: '127.0.0.1', bind_port: String(port) };
    return { ...address, workers: '0', user, swift_dir: this.#dir };
  }
}

const section = (name: string, values: Readonly<Record<string, string>>): string =>
  `[${name}]\n${Object.entries(values)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')}\n`;

/** One service for all tests of a file, whose credentials are in the environment as usual. */
export function useS3Service(): { readonly service: S3Service } {
  const used: { service: S3Service | undefined } = { service: undefined };
  beforeAll(async () => {
    used.service = await S3Service.start();
    for (const [name, value] of Object.entries(used.service.environment)) vi.stubEnv(name, value);
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    vi.unstubAllEnvs();
    await used.service?.end();
  });
  return {
    get service() {
      if (used.service === undefined) throw new Error('The service has not started');
      return used.service;
    },
  };
}
