import type { Server as HttpsServer } from 'node:https';
import { type Logger, pino } from 'pino';
import { type Clock, systemClock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { isLoopback } from '#core/http/loopback.ts';
import { openAdmin } from '#core/serving/admin.ts';
import type { Rate } from '#core/token-bucket.ts';
import { Access } from './api/access.ts';
import { buildApp } from './api/app.ts';
import { ApiCounters } from './api/counters.ts';
import { NodeStreams } from './api/node-streams.ts';
import { TokenUse } from './api/token-use.ts';
import { AuditLog } from './audit.ts';
import { Challenges } from './certificates/acme/challenges.ts';
import { issue, newAccountKey } from './certificates/acme/issue.ts';
import { AcmeOrders } from './certificates/acme/orders.ts';
import { Certificates } from './certificates/certificates.ts';
import { TicketSecrets } from './certificates/ticket-secrets.ts';
import { Enrolments } from './enrolments.ts';
import { type Resolve, systemResolve } from './config/addresses.ts';
import { ConfigHistory } from './config/history.ts';
import { Rollouts } from './config/rollouts.ts';
import { ConfigVersions } from './config/versions.ts';
import { Journal } from './journal/journal.ts';
import { TierKeyRotation } from './keys/rotation.ts';
import { LatencyStore } from './latency/latencies.ts';
import { NodeLeases } from './journal/leases.ts';
import { OrderKeys } from './order-keys.ts';
import { Origins } from './origins.ts';
import { Purges } from './purge/purges.ts';
import { Pushes } from './push/pushes.ts';
import { Questions } from './questions.ts';
import { Releases } from './release/releases.ts';
import type { Point } from './routing/engine/client.ts';
import { GeoDatabases } from '#core/geography/databases.ts';
import { Geography } from './routing/geography/geography.ts';
import { sampleControlPlane } from './samples.ts';
import { digestOf, newSecret, sameDigest } from './secrets.ts';
import { openState, type StatePlace } from './state/open.ts';
import type { StateStore } from './state/store.ts';
import { Traffic } from './traffic/traffic.ts';
import { FreshCertificate, readKeyPair, type TlsFiles } from './tls.ts';

const LEASE_MS = 10_000;

/** What one token may ask for, at each replica. */
const TOKEN_RATE: Rate = { perSecond: 1_000, burst: 5_000 };

/** The token that is made when there is none to administer with. */
const ADMIN = 'admin';

export interface ControlPlaneOptions extends StatePlace {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Where `/metrics` and `/healthz` are served. */
  readonly admin: { readonly host: string; readonly port: number };
  readonly clock?: Clock;
  /** Addresses or networks of proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies?: readonly string[];
  /** Without it the API is plain HTTP. */
  readonly tls?: TlsFiles;
  /** Whether it may be plain HTTP beyond this machine, where something else protects the way. */
  readonly allowPlainHttp?: boolean;
  /** What one token may ask for. */
  readonly tokenRate?: Rate;
  /** How long a node is in service after a heartbeat. Default 10 s. */
  readonly leaseMs?: number;
  /** Secret of the token `admin`; replaces the one it had. */
  readonly adminToken?: string;
  /** Files in MaxMind's format by which routes are explained, as those of the routers. */
  readonly geoDatabases?: readonly string[];
  /** Where clients are whom no database knows, as the routers have it. */
  readonly elsewhere?: Point;
  readonly log?: Logger;
  /** Finds addresses of origins, to see whether they are nodes; by default the system's resolver. */
  readonly resolve?: Resolve;
}

export interface RunningControlPlane {
  readonly url: string;
  /** Base URL of `/metrics` and `/healthz`. */
  readonly adminUrl: string;
  /** The admin token given, or made at the first start; `undefined` later, for only its digest is kept. */
  readonly adminToken: string | undefined;
  /** Looks now whether the files of the certificate are others. */
  reload(): Promise<void>;
  /** Ends the streams, finishes what is under way and gives up the state. */
  close(): Promise<void>;
}

/**
 * Starts the control plane.
 * @throws CanopyError `conflict` if the state or the address is in use, `internal-error` if the state is
 * damaged, `unavailable` if Redis is
 */
export async function startControlPlane(
  options: ControlPlaneOptions,
): Promise<RunningControlPlane> {
  const {
    clock = systemClock,
    leaseMs = LEASE_MS,
    log = pino({ name: 'control-plane' }),
  } = options;
  requireProtection(options);
  const tls = options.tls && (await readKeyPair(options.tls));
  const databases = GeoDatabases.open(options.geoDatabases ?? []);
  const store = await openState(options, log);
  try {
    const adminToken = await ensureAdminToken(store, clock, options.adminToken);
    const journal = await Journal.open(store, clock);
    const leases = await NodeLeases.open({
      clock,
      leaseMs,
      standings: store.standings,
      nodes: () => journal.config.nodes,
    });
    const origins = new Origins({ journal, leases, clock });
    const purges = await Purges.open({ store, journal, leases, clock, log });
    const pushes = await Pushes.open({ store, journal, leases, clock, log });
    const latencies = new LatencyStore({ records: store.records, journal, clock, log });
    const releases = new Releases({ store, journal, origins, purges, pushes, clock, log });
    const streams = new NodeStreams(journal, clock);
    const traffic = new Traffic(clock, () => journal.config.nodes);
    const questions = new Questions({
      store,
      clock,
      log,
      send: (question, nodes) => streams.ask(question, nodes),
      onTraffic: (node, report) => traffic.reported(node, report),
    });
    const tokenUse = new TokenUse(store.records, clock, log);
    const access = new Access({
      store,
      journal,
      clock,
      use: tokenUse,
      rate: options.tokenRate ?? TOKEN_RATE,
    });
    const audit = new AuditLog(store.records, log);
    const history = new ConfigHistory(store.records);
    const resolve = options.resolve ?? systemResolve;
    const versions = new ConfigVersions({ history, journal, clock, resolve });
    const rollouts = await Rollouts.open({ history, versions, journal, leases, clock, log });
    const tierKeyRotation = new TierKeyRotation({ journal, leases, clock, log });
    const certificates = new Certificates({ store, journal, clock });
    const challenges = new Challenges({ journal, leases, clock });
    const acme = new AcmeOrders({
      records: store.records,
      certificates,
      clock,
      log,
      newAccountKey,
      issue: (account, order) => issue(account, order, challenges),
    });
    const services = {
      access,
      audit,
      acme,
      certificates,
      enrolments: new Enrolments({ store, journal, clock }),
      clock,
      geography: new Geography(databases.all, options.elsewhere),
      history,
      journal,
      latencies,
      leases,
      orderKeys: new OrderKeys(store.records, clock),
      origins,
      purges,
      pushes,
      questions,
      releases,
      rollouts,
      store,
      streams,
      ticketSecrets: new TicketSecrets(store.records, clock),
      tierKeyRotation,
      tokenUse,
      traffic,
      versions,
    };
    const requests = new ApiCounters();
    const app = buildApp(services, {
      counters: requests,
      log,
      trustedProxies: options.trustedProxies ?? [],
      tls,
    });
    const certificate =
      options.tls &&
      tls &&
      new FreshCertificate({
        server: app.server as HttpsServer,
        files: options.tls,
        pair: tls,
        clock,
        log,
      });
    let stopping = false;
    const admin = await openAdmin({
      ...options.admin,
      name: 'control-plane',
      tier: 'control-plane',
      groups: ['control-plane'],
      sample: async (samples) => {
        await sampleControlPlane(services, samples);
        requests.sample(samples);
      },
      findings: async () => ({ stopping, 'state-unavailable': !(await isReadable(store)) }),
      facts: () => ({ sequence: journal.config.sequence }),
    });
    databases.watch(clock, log);
    followOthers({ ...services, log });
    const close = async (): Promise<void> => {
      stopping = true;
      certificate?.close();
      databases.close();
      streams.endAll();
      await releases.close();
      purges.close();
      pushes.close();
      questions.close();
      latencies.close();
      tierKeyRotation.close();
      rollouts.close();
      acme.close();
      await app.close();
      await origins.close();
      await store.close();
      await admin.close();
    };
    const { host, port } = options;
    const url = await app.listen({ host, port }).catch(async (cause: unknown) => {
      databases.close();
      await admin.close();
      return refuseAddress(cause);
    });
    const reload = async (): Promise<void> => certificate?.look();
    return { url, adminUrl: admin.url, adminToken, reload, close };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** @throws CanopyError `invalid-input` where secrets would cross a network in the clear */
function requireProtection({ host, tls, allowPlainHttp = false }: ControlPlaneOptions): void {
  if (tls !== undefined || allowPlainHttp || isLoopback(host)) return;
  throw new CanopyError(
    'invalid-input',
    `Tokens, credentials and keys would go to and from ${host} in the clear: give --tls-cert and --tls-key, ` +
      'or --allow-plain-http where something else protects the way',
  );
}

/** Heeds what other control planes on the same state do. */
function followOthers({
  store,
  journal,
  leases,
  purges,
  questions,
  log,
}: {
  readonly store: StateStore;
  readonly journal: Journal;
  readonly leases: NodeLeases;
  readonly purges: Purges;
  readonly questions: Questions;
  readonly log: Logger;
}): void {
  const follow = async (read: Promise<void>): Promise<void> => {
    await read.catch((error: unknown) =>
      log.error(`Could not follow the journal: ${messageOf(error)}`),
    );
    purges.settleBehind();
  };
  store.watch({
    changed: () => follow(journal.catchUp()),
    told: (message) => questions.told(message),
    reconnected: () => {
      leases.presumeAll();
      void follow(journal.verify());
    },
  });
}

async function ensureAdminToken(
  store: StateStore,
  clock: Clock,
  given: string | undefined,
): Promise<string | undefined> {
  if (given !== undefined && (await isAdmin(store, digestOf(given), clock.now()))) return given;
  if (given === undefined && (await isAdministrable(store))) return undefined;
  const secret = given ?? newSecret();
  const token = {
    name: ADMIN,
    digest: digestOf(secret),
    scopes: ['admin' as const],
    sites: null,
    createdAt: clock.now(),
    expiresAt: null,
    previous: null,
  };
  if (await store.addToken(token)) return secret;
  // Another control plane, started at the same time, was faster.
  if (given === undefined && (await isAdministrable(store))) return undefined;
  // One that is none to administer with, or another than was given.
  await store.deleteToken(ADMIN);
  await store.addToken(token);
  return secret;
}

/** Whether the token `admin` has this secret, or had it before a rotation that still goes on. */
async function isAdmin(store: StateStore, digest: Uint8Array, now: number): Promise<boolean> {
  const token = await store.tokenByDigest(digest);
  if (token?.name !== ADMIN) return false;
  return sameDigest(token.digest, digest) || (token.previous?.until ?? 0) > now;
}

const isReadable = (store: StateStore): Promise<boolean> =>
  store.tokens().then(
    () => true,
    () => false,
  );
const isAdministrable = async (store: StateStore): Promise<boolean> =>
  (await store.tokens()).some(({ scopes, sites }) => scopes.includes('admin') && sites === null);

function refuseAddress(cause: unknown): never {
  throw new CanopyError('conflict', `The control plane cannot listen: ${messageOf(cause)}`, {
    cause,
  });
}
