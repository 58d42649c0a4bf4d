import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Agent, fetch, type Headers } from 'undici';
import { onTestFinished } from 'vitest';
import { type RunningControlPlane, startControlPlane } from '#control-plane/server.ts';
import type { PurgeRecord } from '#control-plane/state/store.ts';
import type { Tier } from '#core/contract/node.ts';
import { DeclaredAnswers, type OpenApi } from './declared.ts';
import type { Rate } from '#core/token-bucket.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';

export { eventually } from '#test/eventually.ts';

export const silent = pino({ level: 'silent' });

/** Any free port for those who watch. */
export const ADMIN = { host: '127.0.0.1', port: 0 };

export const LOAD = {
  requests: 0,
  hits: 0,
  hitBytes: 0,
  upstreamRequests: 0,
  bytesSent: 0,
  objects: 0,
  storedBytes: 0,
  connections: 0,
  tunnels: 0,
};

/** Without connections kept alive, which a restart would cut. */
const dispatcher = new Agent({ pipelining: 0 });

/** A directory that goes with the test. */
export async function temporaryDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'canopy-test-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));
  return dir;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // What the API answers is what the tests look into.
  readonly body: Record<string, unknown>;
}

interface TestOptions {
  /** Of a state shared with others; without it the state is in the directory. */
  readonly redisUrl?: string;
  readonly clock?: FakeClock;
  readonly tokenRate?: Rate;
  readonly geoDatabases?: readonly string[];
  /** In place of DNS, which tests do not ask: addresses by name. */
  readonly addresses?: Readonly<Record<string, readonly string[]>>;
}

let declared: Promise<DeclaredAnswers> | undefined;

/** A control plane on a clock that the test moves. */
export class TestControlPlane {
  readonly dir: string;
  readonly redisUrl: string | undefined;
  readonly clock: FakeClock;
  readonly #tokenRate: Rate | undefined;
  readonly #geoDatabases: readonly string[];
  readonly #addresses: Readonly<Record<string, readonly string[]>>;
  #running: RunningControlPlane | undefined;
  #port = 0;

  constructor(
    dir: string,
    {
      redisUrl,
      clock = new FakeClock(),
      tokenRate,
      geoDatabases = [],
      addresses = {},
    }: TestOptions = {},
  ) {
    this.#tokenRate = tokenRate;
    this.dir = dir;
    this.redisUrl = redisUrl;
    this.clock = clock;
    this.#geoDatabases = geoDatabases;
    this.#addresses = addresses;
  }

  static async start(options?: TestOptions): Promise<TestControlPlane> {
    const controlPlane = new TestControlPlane(await temporaryDir(), options);
    await controlPlane.start();
    onTestFinished(() => controlPlane.stop());
    return controlPlane;
  }

  /** Starts on the port that it had before, as a restarted process does. */
  async start(): Promise<void> {
    const { dir, clock, redisUrl } = this;
    const place = {
      dir,
      ...(redisUrl !== undefined && { redisUrl }),
      ...(this.#tokenRate !== undefined && { tokenRate: this.#tokenRate }),
    };
    const resolve = async (name: string) => this.#addresses[name] ?? [];
    const at = {
      ...place,
      clock,
      resolve,
      geoDatabases: this.#geoDatabases,
      log: silent,
      host: '127.0.0.1',
      port: this.#port,
      admin: ADMIN,
    };
    this.#running = await startControlPlane({ ...at, adminToken: 'admin-token' });
    this.#port = Number(new URL(this.#running.url).port);
  }

  async stop(): Promise<void> {
    await this.#running?.close();
    this.#running = undefined;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
    token: string | null = 'admin-token',
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const answer = await fetch(new URL(path, this.url), {
      method,
      dispatcher,
      headers: {
        ...headers,
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: typeof body === 'string' ? body : body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.text();
    const mediaType = answer.headers.get('content-type')?.split(';')[0];
    const { status } = answer;
    (await this.#declared()).check({ method, path, status, mediaType, text });
    const parsed = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
    return { status: answer.status, headers: answer.headers, body: parsed };
  }

  /** What the first control plane of all says of its answers; the others have the same routes. */
  async #declared(): Promise<DeclaredAnswers> {
    declared ??= fetch(`${this.url}/v1/openapi.json`, { dispatcher }).then(
      async (answer) => new DeclaredAnswers((await answer.json()) as OpenApi),
    );
    return declared;
  }

  /** All of a list. */
  async list<T = Record<string, unknown>>(path: string): Promise<T[]> {
    return (await this.get<{ items: T[] }>(path)).items;
  }

  async get<T>(path: string): Promise<T> {
    return (await this.call('GET', path)).body as T;
  }

  async addSite(name: string, ...hosts: string[]): Promise<void> {
    await this.call('PUT', `/v1/sites/${name}`, { hosts, origin: { kind: 'push' } });
  }

  /** @returns the node's credential */
  async addNode(name: string, tier: Tier = 'edge', url = 'http://127.0.0.1:1'): Promise<string> {
    const location = { name: 'oslo', latitude: 59.9, longitude: 10.7 };
    const { body } = await this.call('PUT', `/v1/nodes/${name}`, { tier, location, url });
    return String(body['credential']);
  }

  async addToken(name: string, scopes: string[], sites?: string[]): Promise<string> {
    const { body } = await this.call('POST', '/v1/tokens', { name, scopes, sites });
    return String(body['token']);
  }

  heartbeat(credential: string, fence: number): Promise<Answer> {
    const heartbeat = { fence, pid: 1, version: '1', load: LOAD };
    return this.call('POST', '/v1/node/heartbeats', heartbeat, credential);
  }

  acknowledge(credential: string, fence: number, purges: object[] = []): Promise<Answer> {
    return this.call('POST', '/v1/node/acknowledgements', { fence, purges }, credential);
  }

  async sequence(): Promise<number> {
    return (await this.get<{ sequence: number }>('/v1/health')).sequence;
  }

  async purge(order: object): Promise<PurgeRecord> {
    return (await this.call('POST', '/v1/purges', order)).body as unknown as PurgeRecord;
  }

  findPurge({ id }: PurgeRecord): Promise<PurgeRecord> {
    return this.get<PurgeRecord>(`/v1/purges/${id}`);
  }
}
