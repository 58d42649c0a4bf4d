import { type Logger, pino } from 'pino';
import { type Clock, systemClock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { openAdmin } from '#core/serving/admin.ts';
import { Access } from './api/access.ts';
import { buildApp } from './api/app.ts';
import { ApiCounters } from './api/counters.ts';
import { NodeStreams } from './api/node-streams.ts';
import { type Resolve, systemResolve } from './config/addresses.ts';
import { ConfigHistory } from './config/history.ts';
import { Rollouts } from './config/rollouts.ts';
import { ConfigVersions } from './config/versions.ts';
import { Journal } from './journal/journal.ts';
import { TierKeyRotation } from './keys/rotation.ts';
import { NodeLeases } from './journal/leases.ts';
import { Purges } from './purge/purges.ts';
import { sampleControlPlane } from './samples.ts';
import { digestOf, newSecret } from './secrets.ts';
import { openState, type StatePlace } from './state/open.ts';
import type { StateStore } from './state/store.ts';

const LEASE_MS = 10_000;

/** The token that is made when there is none to administer with. */
const ADMIN = 'admin';

export interface ControlPlaneOptions extends StatePlace {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Where `/metrics` and `/healthz` are served. */
  readonly admin: { readonly host: string; readonly port: number };
  readonly clock?: Clock;
  /** How long a node is in service after a heartbeat. Default 10 s. */
  readonly leaseMs?: number;
  /** Secret of the token `admin`; replaces the one it had. */
  readonly adminToken?: string;
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
    const purges = await Purges.open({ store, journal, leases, clock, log });
    const streams = new NodeStreams(journal, clock);
    const access = new Access(store, journal);
    const history = new ConfigHistory(store.records);
    const resolve = options.resolve ?? systemResolve;
    const versions = new ConfigVersions({ history, journal, clock, resolve });
    const rollouts = await Rollouts.open({ history, versions, journal, leases, clock, log });
    const tierKeyRotation = new TierKeyRotation({ journal, leases, clock, log });
    const services = {
      access,
      clock,
      history,
      journal,
      leases,
      purges,
      rollouts,
      store,
      streams,
      tierKeyRotation,
      versions,
    };
    const requests = new ApiCounters();
    const app = buildApp(services, requests, log);
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
    followOthers({ store, journal, leases, purges, log });
    const close = async (): Promise<void> => {
      stopping = true;
      streams.endAll();
      purges.close();
      tierKeyRotation.close();
      rollouts.close();
      await app.close();
      await store.close();
      await admin.close();
    };
    const { host, port } = options;
    const url = await app.listen({ host, port }).catch(async (cause: unknown) => {
      await admin.close();
      return refuseAddress(cause);
    });
    return { url, adminUrl: admin.url, adminToken, close };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Heeds what other control planes on the same state do. */
function followOthers({
  store,
  journal,
  leases,
  purges,
  log,
}: {
  readonly store: StateStore;
  readonly journal: Journal;
  readonly leases: NodeLeases;
  readonly purges: Purges;
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
  const known = given === undefined ? undefined : await store.tokenByDigest(digestOf(given));
  if (known?.name === ADMIN) return given;
  if (given === undefined && (await isAdministrable(store))) return undefined;
  const secret = given ?? newSecret();
  const token = {
    name: ADMIN,
    digest: digestOf(secret),
    scopes: ['admin' as const],
    sites: null,
    createdAt: clock.now(),
  };
  if (await store.addToken(token)) return secret;
  // Another control plane, started at the same time, was faster.
  if (given === undefined && (await isAdministrable(store))) return undefined;
  // One that is none to administer with, or another than was given.
  await store.deleteToken(ADMIN);
  await store.addToken(token);
  return secret;
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
