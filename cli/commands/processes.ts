import { resolve } from 'node:path';
import type { Command } from 'commander';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { ControlPlaneClient } from '#core/node/control-plane-client.ts';
import type { DiskOptions } from '#core/serving/process.ts';
import type { NodeOptions, RunningNode } from '#core/node/process.ts';
import type { BucketOptions } from '#origin/s3/bucket.ts';
import { limitsOf } from '../client-limit-settings.ts';
import { describeConfig, resolveConfig, type Settings, type Values } from '../config.ts';
import { makeDir, readDocument, textOf } from '../document.ts';
import { enrol, type Enrolled, readEnrolment } from '../enrolment.ts';
import { runUntilStopped, type Server } from '../lifetime.ts';
import { lockDir } from '../lock.ts';
import { accessLogOf, STDOUT } from '../log-settings.ts';
import { table } from '../output.ts';
import { warnOfPlainHttp } from '../plain-http.ts';
import {
  controlPlaneSettings,
  edgeSettings,
  midTierSettings,
  originSettings,
  routerSettings,
} from '../settings.ts';

/** logrotate moves the file away, then sends SIGHUP. */
function reopenOnHangUp<S extends RunningNode>(node: S): S {
  if (node.reopenLog !== undefined) process.on('SIGHUP', () => void node.reopenLog?.());
  return node;
}

/** Each command that runs one process. What it runs is loaded only when it is asked for. */
export function addProcesses(program: Command): void {
  addProcess(program, 'edge', 'run an edge: what clients talk to', edgeSettings, async (values) => {
    const { startEdge } = await import('#edge/process.ts');
    return reopenOnHangUp(
      await startEdge({
        ...(await nodeOptions(values)),
        ...(await cacheOptions(values)),
        trustedProxies: values.trustedProxies,
        clientLimits: limitsOf(values),
        geoDatabases: values.geoDatabases.map((file) => resolve(file)),
        rateLimitRedis: values.rateLimitRedis,
        hitLane: values.hitLane === 'on',
        tls: values.tlsListen && {
          ...values.tlsListen,
          unknownName: values.unknownServerName,
        },
      }),
    );
  });
  addProcess(
    program,
    'mid-tier',
    'run a mid-tier: the shield before the origin',
    midTierSettings,
    async (values) => {
      const { startMidTier } = await import('#mid-tier/process.ts');
      return reopenOnHangUp(
        await startMidTier({
          ...(await nodeOptions(values)),
          ...(await cacheOptions(values, values.reserveBytes)),
        }),
      );
    },
  );
  addProcess(
    program,
    'origin',
    'run an origin: the content store',
    originSettings,
    async (values) => {
      const { startOrigin } = await import('#origin/process.ts');
      return startOrigin({ ...(await nodeOptions(values)), bucket: bucketOf(values) });
    },
  );
  addProcess(
    program,
    'router',
    'run a router: it sends each client to its best edge, by DNS and HTTP',
    routerSettings,
    async (values) => {
      const { startRouter } = await import('#control-plane/routing/process.ts');
      const { dns, workers, answersPerSecond, trustedProxies } = values;
      return startRouter({
        ...(await nodeOptions(values)),
        dns,
        workers,
        ...geographyOf(values),
        answersPerSecond,
        trustedProxies,
      });
    },
  );
  addProcess(
    program,
    'control-plane',
    'run the control plane',
    controlPlaneSettings,
    async (values) => {
      const { dir, redisUrl, listen, admin, leaseMs } = values;
      const adminToken = await adminTokenOf(values);
      const { startControlPlane } = await import('#control-plane/server.ts');
      const { host, port } = listen;
      const server = await startControlPlane({
        dir: resolve(dir),
        host,
        port,
        admin,
        leaseMs,
        trustedProxies: values.trustedProxies,
        allowPlainHttp: values.allowPlainHttp,
        ...tlsFiles(values),
        ...geographyOf(values),
        ...(redisUrl !== undefined && { redisUrl }),
        ...(adminToken !== undefined && { adminToken }),
      });
      if (adminToken === undefined && server.adminToken !== undefined) {
        console.log(`admin token, shown this once: ${server.adminToken}`);
      }
      process.on('SIGHUP', () => void server.reload());
      return server;
    },
  );
}

/** @throws CanopyError `invalid-input` if the file cannot be read, or what it holds is too short */
async function adminTokenOf({
  adminToken,
  adminTokenFile,
}: Values<typeof controlPlaneSettings>): Promise<string | undefined> {
  if (adminToken !== undefined || adminTokenFile === undefined) return adminToken;
  const text = (await textOf(adminTokenFile)).trim();
  return validate(controlPlaneSettings.adminToken.schema, text, adminTokenFile);
}

function geographyOf({
  geoDatabases,
  elsewhere,
}: Pick<Values<typeof routerSettings>, 'geoDatabases' | 'elsewhere'>) {
  return {
    geoDatabases: geoDatabases.map((file) => resolve(file)),
    ...(elsewhere !== undefined && { elsewhere }),
  };
}

function addProcess<S extends Settings>(
  program: Command,
  name: string,
  description: string,
  settings: S,
  start: (values: Values<S>) => Promise<Server>,
): void {
  const command = program.command(name).description(description);
  for (const setting of Object.values(settings)) {
    const fallback = setting.default === undefined ? '' : `, default ${setting.default}`;
    if (setting.flag !== undefined) {
      command.option(setting.flag, `${setting.description} (${setting.variable}${fallback})`);
    }
  }
  command.option('--config <file>', 'settings in JSON or YAML (CANOPY_CONFIG)');
  command.action(async () => {
    const options = command.opts<Readonly<Record<string, unknown>>>();
    const file = options['config'] ?? process.env['CANOPY_CONFIG'];
    const config = resolveConfig(settings, {
      flags: flagsByKey(settings, command),
      environment: process.env,
      ...(typeof file === 'string' && {
        file: { name: file, content: await readDocument(file) },
      }),
    });
    const isTaken = config.raw['accessLog'] === STDOUT;
    const say = (text: string): void => (isTaken ? console.error(text) : console.log(text));
    say(table(['setting', 'value', 'from'], describeConfig(settings, config)));
    await runUntilStopped(() => start(config.values), say);
  });
}

/** Commander names values by the flag; settings have names that say their units. */
export function flagsByKey(
  settings: Settings,
  command: Command,
): Readonly<Record<string, unknown>> {
  const byFlag = new Map(
    command.options.map((option) => [option.flags, command.getOptionValue(option.attributeName())]),
  );
  return Object.fromEntries(
    Object.entries(settings).map(([key, setting]) => [key, byFlag.get(setting.flag ?? '')]),
  );
}

/** @throws CanopyError `invalid-input` if there is only one of the two */
function tlsFiles({ tlsCert, tlsKey }: Values<typeof controlPlaneSettings>) {
  if (tlsCert === undefined && tlsKey === undefined) return {};
  if (tlsCert !== undefined && tlsKey !== undefined) return { tls: { cert: tlsCert, key: tlsKey } };
  throw new CanopyError('invalid-input', 'Give both --tls-cert and --tls-key, or neither');
}

type NodeValues = Omit<OriginValues, 'store' | `s3${string}`>;
type OriginValues = Values<typeof originSettings>;
type CacheValues = Omit<Values<typeof midTierSettings>, 'reserveBytes'>;

async function nodeOptions(values: NodeValues): Promise<NodeOptions> {
  const { controlPlaneUrls, controlPlaneCa, listen, admin } = values;
  const dir = resolve(values.dir);
  await makeDir(dir);
  // Held until the process ends.
  lockDir(dir, 'node.lock', `Another node runs on ${dir}`);
  const ca = controlPlaneCa === undefined ? undefined : await textOf(controlPlaneCa);
  warnOfPlainHttp(controlPlaneUrls);
  return {
    ...(await identityOf(values, dir, ca)),
    controlPlaneUrls,
    ...(ca !== undefined && { controlPlaneCa: ca }),
    dir,
    host: listen.host,
    port: listen.port,
    admin,
  };
}

/** Of an origin that stores in one. */
function bucketOf(values: OriginValues): BucketOptions | undefined {
  const { store, name, s3Bucket, s3Prefix, s3Endpoint, s3Region, s3Addressing } = values;
  if (store === 'disk') return undefined;
  if (s3Bucket === undefined) {
    throw new CanopyError('invalid-input', '--store s3 needs --s3-bucket');
  }
  return {
    bucket: s3Bucket,
    prefix: `${s3Prefix ?? name}/`,
    endpoint: s3Endpoint,
    region: s3Region,
    pathStyle: s3Addressing === 'auto' ? s3Endpoint !== undefined : s3Addressing === 'path',
  };
}

async function cacheOptions(values: CacheValues, reserveBytes?: number) {
  const { workers, memoryBytes, memoryPolicy, spillBytes, drainMs } = values;
  const disk = diskOptions(values, reserveBytes);
  const accessLog = await accessLogOf(values);
  return { workers, memoryBytes, memoryPolicy, spillBytes, drainMs, disk, accessLog };
}

function diskOptions(
  { diskBytes, diskDir, diskFiles, diskKeepFreeBytes }: CacheValues,
  reserveBytes: number | undefined,
): DiskOptions | undefined {
  if (diskBytes === undefined) {
    if (reserveBytes === undefined) return undefined;
    throw new CanopyError('invalid-input', 'A reserve is a part of the disk: give --disk, too');
  }
  if (reserveBytes !== undefined && reserveBytes > diskBytes) {
    throw new CanopyError('invalid-input', '--reserve is a part of --disk, and larger than that');
  }
  return {
    budgetBytes: diskBytes,
    dir: diskDir === undefined ? undefined : resolve(diskDir),
    maxFiles: diskFiles,
    keepFreeBytes: diskKeepFreeBytes,
    reserveBytes,
  };
}

/** The node's name and credential: as they are given, for a one-time token, or as an earlier start was enrolled. */
async function identityOf(
  values: NodeValues,
  dir: string,
  ca: string | undefined,
): Promise<Enrolled> {
  const { name, credentialFile, enrol: token } = values;
  const given = credentialFile === undefined ? values.credential : await textOf(credentialFile);
  const enrolled = await (given !== undefined || token === undefined
    ? readEnrolment(dir)
    : enrolWith(token, dir, values.controlPlaneUrls, ca));
  if (given === undefined && enrolled === undefined) {
    throw new CanopyError(
      'unauthenticated',
      'A node needs its credential: give --enrol, --credential-file or CANOPY_CREDENTIAL',
    );
  }
  const identity = { name: name ?? enrolled?.name, credential: given ?? enrolled?.credential };
  if (identity.name === undefined || identity.credential === undefined) {
    throw new CanopyError('invalid-input', 'A node needs its name: give --name or CANOPY_NAME');
  }
  if (given === undefined && enrolled !== undefined && identity.name !== enrolled.name) {
    throw new CanopyError('conflict', `This node was enrolled as ${enrolled.name}, not as ${name}`);
  }
  return { name: identity.name, credential: identity.credential.trim() };
}

async function enrolWith(
  token: string,
  dir: string,
  urls: readonly string[],
  ca: string | undefined,
): Promise<Enrolled> {
  const client = new ControlPlaneClient({ urls, credential: token, ca });
  try {
    return await enrol(dir, token, client);
  } finally {
    await client.close();
  }
}
