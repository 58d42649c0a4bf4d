import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { pino } from 'pino';
import { z } from 'zod';
import { systemClock } from '#core/clock.ts';
import { baseUrlSchema } from '#core/contract/names.ts';
import { CanopyError } from '#core/errors.ts';
import type { AnnouncerOptions } from '../announce/announcer.ts';
import type { BirdOptions } from '../announce/bird.ts';
import type { Outlet } from '../announce/outlet.ts';
import { duration } from '../duration.ts';
import { EXIT } from '../exit-codes.ts';
import { onStop } from '../lifetime.ts';

interface AnnounceOptions {
  readonly via: 'exabgp' | 'bird';
  readonly prefix: readonly string[];
  readonly edge: string;
  readonly admin: string;
  readonly object?: string;
  readonly rise: number;
  readonly fall: number;
  readonly interval: number;
  readonly timeout: number;
  readonly holdDown: number;
  readonly nextHop: string;
  readonly community?: readonly string[];
  readonly include: string;
  readonly birdc: string;
  readonly socket?: string;
  readonly withdraw: boolean;
}

/** Silence is noticed after so many checks that could have ended. */
const SILENT_CHECKS = 3;

export function addAnnounce(program: Command): void {
  program
    .command('announce')
    .description('announce an anycast prefix by BGP while the edge of this machine is well')
    .addOption(
      new Option('--via <daemon>', 'what speaks BGP')
        .choices(['exabgp', 'bird'])
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--prefix <cidr...>', 'such as 192.0.2.0/24 2001:db8::/48')
        .argParser(prefixes)
        .makeOptionMandatory(),
    )
    .option('--object <url>', 'an object that the edge has to serve from its cache')
    .option('--edge <url>', 'where the edge listens', baseUrl, 'http://127.0.0.1:8080')
    .option('--admin <url>', 'its admin listener', baseUrl, 'http://127.0.0.1:8090')
    .addOption(seconds('--interval <duration>', 'from one check to the next', 1))
    .addOption(seconds('--timeout <duration>', 'how long a check may take', 2))
    .option('--rise <n>', 'good checks in a row before the route is announced', count, 3)
    .option('--fall <n>', 'bad checks in a row before it is withdrawn', count, 2)
    .addOption(seconds('--hold-down <duration>', 'how long it stays withdrawn after a failure', 30))
    .option('--next-hop <address>', 'of ExaBGP: an IP address, or self', nextHop, 'self')
    .addOption(
      new Option('--community <asn:value...>', 'of ExaBGP: added to the route').argParser(
        communities,
      ),
    )
    .option('--include <file>', "what BIRD's configuration includes", '/run/canopy/anycast.conf')
    .option('--birdc <command>', 'of BIRD', 'birdc')
    .option('--socket <path>', "of BIRD: its control socket, birdc's own if left out")
    .option('--withdraw', 'of BIRD: withdraw, and end; for ExecStopPost of systemd', false)
    .action(announce);
}

async function announce(options: AnnounceOptions): Promise<void> {
  const { via, prefix, include, birdc, socket, withdraw } = options;
  const bird: BirdOptions = { prefixes: prefix, includeFile: resolve(include), birdc, socket };
  if (withdraw) {
    if (via !== 'bird') {
      throw new CanopyError(
        'invalid-input',
        '--withdraw is of --via bird: ExaBGP forgets by itself',
      );
    }
    const { Bird } = await import('../announce/bird.ts');
    await new Bird(bird).set(false);
    return;
  }
  if (options.object === undefined) {
    throw new CanopyError(
      'invalid-input',
      'Give --object, a URL that the edge has to serve a hit for',
    );
  }
  const intervalMs = options.interval * 1000;
  const timeoutMs = options.timeout * 1000;
  const { Announcer } = await import('../announce/announcer.ts');
  const ended = Promise.withResolvers<void>();
  const outlet = await outletOf(options, bird, ended.resolve);
  const announcer = new Announcer({
    rules: {
      rise: options.rise,
      fall: options.fall,
      holdDownMs: options.holdDown * 1000,
      silentMs: SILENT_CHECKS * (intervalMs + timeoutMs),
    },
    checker: {
      check: {
        adminUrl: options.admin,
        edgeUrl: options.edge,
        objectUrl: objectUrl(options.object),
        timeoutMs,
      },
      intervalMs,
      ...(via === 'bird' && { bird }),
    },
    outlet,
    clock: systemClock,
    log: pino(
      { name: 'announce', base: { pid: process.pid } },
      pino.destination({ dest: 2, sync: true }),
    ),
  } satisfies AnnouncerOptions);
  void ended.promise.then(() => announcer.stop()).finally(() => process.exit(EXIT.done));
  onStop({ first: ended.resolve, again: () => process.exit(EXIT.interrupted) });
  announcer.start();
}

async function outletOf(
  { via, prefix, nextHop: hop, community = [] }: AnnounceOptions,
  bird: BirdOptions,
  onEnd: () => void,
): Promise<Outlet> {
  if (via === 'bird') {
    const { Bird } = await import('../announce/bird.ts');
    return new Bird(bird);
  }
  const { Exabgp } = await import('../announce/exabgp.ts');
  const options = { prefixes: prefix, nextHop: hop, communities: community };
  return new Exabgp(options, process.stdin, process.stdout, onEnd);
}

const seconds = (flags: string, description: string, fallback: number): Option =>
  new Option(flags, description).argParser(duration).default(fallback, `${fallback}s`);

const prefixSchema = z.union([z.cidrv4(), z.cidrv6()]);

function prefixes(text: string, before: readonly string[] = []): readonly string[] {
  if (prefixSchema.safeParse(text).success) return [...before, text];
  throw new InvalidArgumentError('Expected a network such as 192.0.2.0/24 or 2001:db8::/48.');
}

function communities(text: string, before: readonly string[] = []): readonly string[] {
  const parts = /^(\d{1,5}):(\d{1,5})$/.exec(text)?.slice(1).map(Number);
  if (parts?.every((part) => part < 65_536)) return [...before, text];
  throw new InvalidArgumentError('Expected a community such as 65000:100.');
}

function nextHop(text: string): string {
  if (text === 'self' || isIP(text) !== 0) return text;
  throw new InvalidArgumentError('Expected an IP address, or self.');
}

function baseUrl(text: string): string {
  const parsed = baseUrlSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError('Expected a URL such as http://127.0.0.1:8080.');
}

function objectUrl(text: string): string {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol)) return url.href;
  throw new CanopyError(
    'invalid-input',
    `--object: expected an http or https URL, received ${text}`,
  );
}

function count(text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number from 1 to 999.');
}
