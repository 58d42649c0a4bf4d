import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished, vi } from 'vitest';
import type { Config } from '#core/contract/event.ts';
import { nodeSchema } from '#core/contract/node.ts';

const run = promisify(execFile);

/** On a crowded machine. */
const READY_MS = 30_000;

/**
 * Addresses of one test, all on loopback. Delegations name no ports, so that all of them listen on 53:
 * which is only free on addresses that nobody else has.
 */
export function ownAddresses(): (last: number) => string {
  const [a, b] = [64 + Math.floor(Math.random() * 180), 1 + Math.floor(Math.random() * 250)];
  return (last) => `127.${a}.${b}.${last}`;
}

/** With routers at these addresses, named `ns1` and so on in the zone, and no others. */
export function withRouters(config: Config, addresses: readonly string[]): Config {
  const routers = addresses.map((address, i) =>
    nodeSchema.parse({
      name: `router-${i + 1}`,
      tier: 'router',
      location: { name: 'oslo', latitude: 59.91, longitude: 10.75 },
      url: `http://${address}`,
      addresses: [address],
      hostname: `ns${i + 1}.cdn.example`,
    }),
  );
  return { ...config, nodes: [...config.nodes.filter(({ tier }) => tier === 'edge'), ...routers] };
}

export interface ResolverOptions {
  readonly resolver: string;
  /** Address of who delegates. */
  readonly parent: string;
  /** Name servers of `cdn.example`, by their names in it. */
  readonly servers: Readonly<Record<string, string>>;
  /** Lines of unbound's `server:` section. */
  readonly settings?: readonly string[];
}

/** A zone `example` of NSD that delegates `cdn.example`, and Unbound, which resolves by it. */
export class Resolver {
  readonly #address: string;

  private constructor(address: string) {
    this.#address = address;
  }

  static async start(options: ResolverOptions): Promise<Resolver> {
    const dir = await mkdtemp(join(tmpdir(), 'canopy-resolver-'));
    onTestFinished(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));
    await delegate(dir, options);
    await resolve(dir, options);
    const resolver = new Resolver(options.resolver);
    const isReady = async (): Promise<boolean> =>
      (await resolver.dig('www.example', 'TXT', '+tries=1', '+time=1')).includes('the parent');
    await vi.waitUntil(isReady, { timeout: READY_MS, interval: 50 });
    return resolver;
  }

  /** What dig prints, blanks being one. */
  async dig(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('dig', [`@${this.#address}`, ...args]).catch(
      (error: { stdout: string }) => error,
    );
    return stdout.replaceAll(/[ \t]+/g, ' ');
  }
}

async function delegate(dir: string, { parent, servers }: ResolverOptions): Promise<void> {
  const delegations = Object.entries(servers).map(
    ([name, address]) => `cdn 600 NS ${name}.cdn\n${name}.cdn 600 A ${address}\n`,
  );
  const apex = '@ 600 SOA ns hostmaster 1 3600 600 86400 60\n@ 600 NS ns\n';
  const own = `ns 600 A ${parent}\nwww 600 TXT "the parent"\n`;
  await writeFile(
    join(dir, 'example.zone'),
    `$ORIGIN example.\n${apex}${own}${delegations.join('')}`,
  );
  await writeFile(
    join(dir, 'nsd.conf'),
    `server:
  ip-address: ${parent}
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "${dir}"
  database: ""
  pidfile: ""
  logfile: "${dir}/nsd.log"
  xfrdfile: ""
  zonelistfile: "${dir}/zone.list"
  xfrdir: "${dir}"
remote-control:
  control-enable: no
zone:
  name: example
  zonefile: example.zone
`,
  );
  start('nsd', ['-d', '-c', join(dir, 'nsd.conf')]);
}

async function resolve(
  dir: string,
  { resolver, parent, settings = [] }: ResolverOptions,
): Promise<void> {
  const config = `server:
  interface: ${resolver}
  username: ""
  chroot: ""
  directory: "${dir}"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  do-ip6: no
  num-threads: 1
  auto-trust-anchor-file: ""
${settings.map((line) => `  ${line}\n`).join('')}stub-zone:
  name: "example"
  stub-addr: ${parent}
  stub-prime: no
remote-control:
  control-enable: no
`;
  await writeFile(join(dir, 'unbound.conf'), config);
  start('unbound', ['-d', '-c', join(dir, 'unbound.conf')]);
}

function start(command: string, args: readonly string[]): void {
  const child: ChildProcess = spawn(command, args, { stdio: 'ignore' });
  onTestFinished(async () => {
    if (child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  });
}
