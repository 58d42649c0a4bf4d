import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { type Clock, systemClock } from '#core/clock.ts';
import { bodiesDir, openDiskStore } from '#origin/disk-store.ts';
import type { IndexedStore } from '#origin/indexed-store.ts';
import type { ObjectStore, OriginObject, Upload } from '#origin/object-store.ts';
import { Releases } from '#origin/releases.ts';
import { createOriginServer, type OriginServer } from '#origin/server.ts';

export const TIER_KEY = 'tier-key-of-the-tests';
export const PUBLISH_KEY = 'publish-key-of-the-tests';
export const quiet = pino({ level: 'silent' });

/** A clock whose wall time the test sets. */
export interface WallClock extends Clock {
  nowMs: number;
}

export function wallClock(nowMs = Date.UTC(2026, 0, 1)): WallClock {
  return {
    ...systemClock,
    nowMs,
    now() {
      return this.nowMs;
    },
  };
}

export async function temporaryDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'canopy-origin-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** The names of all bodies in a store's directory. */
export async function bodyNames(dir: string): Promise<readonly string[]> {
  const entries = await readdir(bodiesDir(dir), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

/** An upload of `text`, admitted always. */
export function uploadOf(text: string, changes: Partial<Upload> = {}): Upload {
  return {
    content: chunks(text),
    size: undefined,
    contentType: 'text/plain',
    cacheControl: undefined,
    admit: () => undefined,
    ...changes,
  };
}

export async function* chunks(...texts: string[]): AsyncGenerator<Buffer, void, undefined> {
  for (const text of texts) yield Buffer.from(text);
}

export async function textOf(store: ObjectStore, object: OriginObject | undefined) {
  const body = object && (await store.read(object));
  return body && (await buffer(body)).toString();
}

export interface TestOrigin {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  readonly store: IndexedStore;
  readonly server: OriginServer;
  readonly releases: Releases;
  readonly clock: WallClock;
  /** As an edge or mid-tier of the network asks for content of the site `shop`. */
  readonly get: (
    target: string,
    headers?: Record<string, string>,
    method?: string,
  ) => Promise<Received>;
  /** As the control plane uses the object API of the site `shop`. */
  readonly api: (
    method: string,
    path: string,
    body?: string,
    headers?: Record<string, string>,
  ) => Promise<Received>;
}

export interface Received {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly text: string;
  readonly json: () => unknown;
}

/** Sends a request by node:http, which leaves the target as it is. */
export async function send(
  url: string,
  target: string,
  method: string,
  headers: Record<string, string>,
  body?: string,
): Promise<Received> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(url, { path: target, method, headers, agent: false }, resolve);
    outgoing.on('error', reject);
    outgoing.end(body);
  });
  const received = await buffer(response);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: received,
    text: received.toString(),
    json: () => JSON.parse(received.toString()) as unknown,
  };
}

/** An origin on a free port, closed after the test. */
export async function startTestOrigin(
  open: (options: { dir: string; clock: Clock }) => Promise<IndexedStore> = (options) =>
    openDiskStore({ ...options, log: quiet }),
  reachesFence: (sequence: number) => Promise<boolean> = async () => true,
  obtain: (site: string, digest: string) => Promise<boolean> = async () => false,
): Promise<TestOrigin> {
  const dir = await temporaryDir();
  const clock = wallClock();
  const store = await open({ dir, clock });
  const releases = new Releases({ store, obtain, clock, log: quiet });
  const server = await createOriginServer({
    store,
    releases,
    network: () => ({ tierKey: TIER_KEY, publishKey: PUBLISH_KEY }),
    reachesFence,
    clock,
    log: quiet,
    host: '127.0.0.1',
    port: 0,
  });
  onTestFinished(async () => {
    await server.close(0);
    await releases.close();
    await store.close();
  });
  const url = `http://127.0.0.1:${server.port}`;
  return {
    url,
    port: server.port,
    dir,
    store,
    server,
    releases,
    clock,
    get: (target, headers = {}, method = 'GET') =>
      send(url, target, method, {
        'Canopy-Tier-Key': TIER_KEY,
        'Canopy-Site': 'shop',
        ...headers,
      }),
    api: (method, path, body, headers = {}) =>
      send(
        url,
        `/v1/sites/shop/objects${path}`,
        method,
        { Authorization: `Bearer ${PUBLISH_KEY}`, ...headers },
        body,
      ),
  };
}
