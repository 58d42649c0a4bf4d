import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CanopyError, MethodNotAllowed } from '#core/errors.ts';
import { type Exposition, expose, watchProcess } from '#core/telemetry/exposition.ts';
import { type HealthReason, healthOf } from '#core/telemetry/health.ts';
import { type MetricGroup, metricsOf } from '#core/telemetry/metrics.ts';
import { Samples } from '#core/telemetry/samples.ts';
import { version } from '#core/node/version.ts';
import { bind } from './listener.ts';
import { problemOf } from './problem.ts';

export interface Address {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

export interface AdminOptions extends Address {
  readonly name: string;
  /** The label `tier` of all metrics. */
  readonly tier: string;
  /** Beside `process`. */
  readonly groups: readonly MetricGroup[];
  /** Measures, at each scrape. */
  readonly sample: (samples: Samples) => Promise<void> | void;
  /** What may be wrong, and whether it is. */
  readonly findings: () =>
    Promise<Partial<Record<HealthReason, boolean>>> | Partial<Record<HealthReason, boolean>>;
  /** What `/healthz` tells besides. */
  readonly facts: () => Readonly<Record<string, unknown>>;
}

export interface Admin {
  /** Base URL. */
  readonly url: string;
  close(): Promise<void>;
}

/** Whoever scrapes needs few; further connections are closed. */
const MAX_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 5_000;

/**
 * Opens the listener for those who watch a process: `/metrics` and `/healthz`. It asks nobody who
 * they are, so it belongs on loopback or a private network.
 * @throws CanopyError `conflict` where the port is taken
 */
export async function openAdmin(options: AdminOptions): Promise<Admin> {
  const { host, port } = options;
  watchProcess();
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
    (incoming, outgoing) => {
      answer(options, incoming).then(
        ({ status, fields, body }) => send(outgoing, status, fields, body),
        (error: unknown) => refuse(outgoing, error),
      );
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  await bind(server, { host, port });
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Answered {
  readonly status: number;
  readonly fields: readonly string[];
  readonly body: string | Buffer;
}

const PAGES: Readonly<
  Record<string, (options: AdminOptions, incoming: IncomingMessage) => Promise<Answered>>
> = {
  '/metrics': async (options, { headers }) => {
    const { contentType, text } = await scrape(options, headers.accept);
    return { status: 200, fields: ['Content-Type', contentType], body: text };
  },
  '/healthz': async ({ findings, facts, name, tier }) => {
    const { status, serves, reasons } = healthOf(await findings());
    const uptimeSeconds = Math.floor(process.uptime());
    const health = { status, reasons, name, tier, version, uptimeSeconds, ...facts() };
    return {
      status: serves ? 200 : 503,
      fields: ['Content-Type', 'application/json'],
      body: `${JSON.stringify(health)}\n`,
    };
  },
};

async function answer(options: AdminOptions, incoming: IncomingMessage): Promise<Answered> {
  const { method = '', url = '' } = incoming;
  const path = url.split('?', 1)[0] ?? '';
  const page = Object.hasOwn(PAGES, path) ? PAGES[path] : undefined;
  if (page === undefined) throw new CanopyError('not-found', `There is no ${path}`);
  if (method !== 'GET' && method !== 'HEAD') throw new MethodNotAllowed(method, 'GET, HEAD');
  return page(options, incoming);
}

async function scrape(options: AdminOptions, accept: string | undefined): Promise<Exposition> {
  const { name, tier, groups, sample } = options;
  const samples = new Samples();
  samples.add('canopy_build_info', 1, name, version);
  await sample(samples);
  return expose(metricsOf(['process', ...groups]), samples, { tier }, accept);
}

function refuse(outgoing: ServerResponse, thrown: unknown): void {
  const error =
    thrown instanceof CanopyError
      ? thrown
      : new CanopyError('internal-error', 'Measuring failed', { cause: thrown });
  const { status, fields, body } = problemOf(error);
  send(outgoing, status, fields, body);
}

function send(
  outgoing: ServerResponse,
  status: number,
  fields: readonly string[],
  body: string | Buffer,
): void {
  const length = ['Content-Length', String(Buffer.byteLength(body)), 'Cache-Control', 'no-store'];
  outgoing.writeHead(status, [...fields, ...length]).end(body);
}
