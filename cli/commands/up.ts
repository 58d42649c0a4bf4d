import { join, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '#core/clock.ts';
import { CanopyError } from '#core/errors.ts';
import { baseUrlSchema } from '#core/contract/names.ts';
import { makeDir, readDocument } from '../document.ts';
import { EXIT } from '../exit-codes.ts';
import { onStop } from '../lifetime.ts';
import { sizeArgument } from '../size.ts';
import { Children } from '../up/children.ts';
import { lockDir } from '../lock.ts';
import { LocalAuthority } from '../up/local-authority.ts';
import { startNetwork } from '../up/network.ts';
import { allProcesses, planNetwork } from '../up/plan.ts';
import { requireFreePorts } from '../up/ports.ts';
import { probeOriginServers } from '../up/pull.ts';
import { removeReadyFile, writeReadyFile } from '../up/ready-file.ts';
import { Registry } from '../up/registry.ts';
import { siteFor } from '../up/site.ts';
import { summary } from '../up/summary.ts';

interface UpOptions {
  readonly pull?: readonly string[];
  readonly host?: readonly string[];
  readonly edges: number;
  readonly midTiers: number;
  readonly port: number;
  readonly origins: number;
  readonly workers: number;
  readonly memory: number;
  /** `false`: none. */
  readonly disk: number | false;
  readonly site?: string;
  readonly dir: string;
  readonly readyFile?: string;
  readonly redis?: string;
  readonly controlPlanes: number;
  readonly routers: number;
  readonly geoDatabase?: readonly string[];
  readonly accessLog?: true;
  readonly tls?: true;
}

export function addUp(program: Command): void {
  program
    .command('up')
    .description('start a whole network on this machine: each node a process of its own')
    .option('--pull <url>', 'origin server; repeat it in order of priority', addUrl)
    .option('--host <name>', 'host of the site; repeatable (default: every host)', addText)
    .option('--edges <n>', 'number of edges', numberBetween(0, 100), 3)
    .option('--mid-tiers <n>', 'number of mid-tiers', numberBetween(0, 100), 2)
    .option(
      '--origins <n>',
      'replicas of the built-in origin, where there is no --pull',
      numberBetween(1, 10),
      1,
    )
    .option(
      '--port <n>',
      "the first edge's port, the others follow; 0: any free ones",
      numberBetween(0, 65_535),
      8080,
    )
    .option('--workers <n>', 'threads per edge and mid-tier', numberBetween(1, 256), 1)
    .addOption(
      new Option('--memory <size>', 'memory for stored objects, per node')
        .argParser(sizeArgument)
        .default(256 * 1024 ** 2, '256m'),
    )
    .addOption(
      new Option('--disk <size>', 'disk for stored objects, per node')
        .argParser(sizeArgument)
        .default(256 * 1024 ** 2, '256m'),
    )
    .option('--no-disk', 'keep objects in memory alone')
    .option('--site <file>', 'site settings, JSON or YAML')
    .addOption(
      new Option(
        '--redis <url>',
        'Redis that keeps the state of the control plane, and limits',
      ).env('CANOPY_REDIS'),
    )
    .option(
      '--control-planes <n>',
      'replicas of the control plane; more than one need --redis',
      numberBetween(1, 9),
      1,
    )
    .option(
      '--routers <n>',
      'routers: each answers by DNS and HTTP where the nearest edge is',
      numberBetween(0, 9),
      0,
    )
    .option(
      '--geo-database <file...>',
      "databases in MaxMind's format, for edges, routers and for explaining routes",
    )
    .option(
      '--tls',
      'have edges serve TLS and HTTP/2, too, with a certificate of an authority in --dir',
    )
    .option('--access-log', 'have edges write each request down, in nodes/NAME/access.log of --dir')
    .option('--dir <dir>', 'state, logs and secrets', '.canopy')
    .option('--ready-file <file>', 'where to write addresses and token once everything serves')
    .action(up);
}

async function up(options: UpOptions): Promise<void> {
  const dir = resolve(options.dir);
  const file = options.site === undefined ? undefined : await readDocument(options.site);
  // Checked before anything starts.
  if (options.controlPlanes > 1 && options.redis === undefined) {
    throw new CanopyError(
      'invalid-request',
      'Several control planes need a Redis: give --redis URL',
    );
  }
  const site = siteFor({ pull: options.pull ?? [], hosts: options.host ?? [], file });
  const { origin } = site;
  const plan = planNetwork({
    ...options,
    origins: origin.kind === 'push' ? options.origins : 0,
    tls: options.tls === true,
  });

  await makeDir(dir);
  const lock = lockDir(dir, 'up.lock', `Another \`canopy up\` runs on ${dir}`);
  if (options.readyFile !== undefined) removeReadyFile(options.readyFile);
  if (origin.kind === 'pull') {
    const warnings = await probeOriginServers(origin.servers.map((server) => server.url));
    for (const warning of warnings) warn(warning);
  }
  await requireFreePorts(allProcesses(plan));

  const children = new Children(join(dir, 'logs'), systemClock, warn);
  const stopped = stopSignal(async () => {
    await children.kill();
    if (options.readyFile !== undefined) removeReadyFile(options.readyFile);
  });
  const start = async (): Promise<void> => {
    const registry = await Registry.open(dir);
    const authority =
      options.tls && (await LocalAuthority.open(join(dir, 'tls'), systemClock.now()));
    const network = await startNetwork(
      plan,
      {
        dir,
        site,
        workers: options.workers,
        memoryBytes: options.memory,
        accessLog: options.accessLog === true,
        diskBytes: options.disk === false ? undefined : options.disk,
        authority,
        geoDatabases: (options.geoDatabase ?? []).map((path) => resolve(path)),
        ...(options.redis !== undefined && { redisUrl: options.redis }),
      },
      { children, registry, clock: systemClock },
    );
    if (options.readyFile !== undefined) await writeReadyFile(options.readyFile, network);
    const caFile = options.tls && join(options.dir, 'tls', 'ca.pem');
    console.log(summary(network, options.dir, caFile));
  };

  try {
    await Promise.race([start().then(() => stopped), stopped]);
  } finally {
    // Edges first: a transfer under way still needs its parents.
    for (const stage of [
      plan.routers,
      plan.edges,
      plan.midTiers,
      plan.origins,
      plan.controlPlanes,
    ]) {
      await children.stop(stage.map((process) => process.name));
    }
    if (options.readyFile !== undefined) removeReadyFile(options.readyFile);
    lock.release();
  }
}

/** Resolves when it is to stop; asked a second time it kills what still runs and exits. */
function stopSignal(kill: () => Promise<void>): Promise<void> {
  return new Promise((resolveSignal) => {
    onStop({
      first: () => {
        console.error('canopy: stopping (once more to kill)');
        resolveSignal();
      },
      again: () => void kill().finally(() => process.exit(EXIT.interrupted)),
    });
  });
}

const warn = (text: string): void => console.error(text.startsWith(' ') ? text : `canopy: ${text}`);

const addText = (text: string, previous: readonly string[] = []): string[] => [...previous, text];

function addUrl(text: string, previous: readonly string[] = []): string[] {
  if (!baseUrlSchema.safeParse(text).success) {
    throw new InvalidArgumentError('Expected an http:// or https:// URL without a path.');
  }
  return [...previous, new URL(text).origin];
}

const numberBetween =
  (least: number, most: number) =>
  (text: string): number => {
    const number = /^\d+$/.test(text) ? Number(text) : -1;
    if (number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };
