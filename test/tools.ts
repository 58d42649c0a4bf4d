// Before the tests: sees to it that the programs they call from outside npm are there. After them,
// under CI: fails if one was not.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

interface Tool {
  readonly command: string;
  /** The Debian package that has it. */
  readonly aptPackage: string;
  readonly why: string;
}

const TOOLS: readonly Tool[] = [
  { command: 'curl', aptPackage: 'curl', why: 'the end-to-end tests ask the way people do' },
  { command: 'chromium', aptPackage: 'chromium', why: 'a real browser plays a video' },
  { command: 'openssl', aptPackage: 'openssl', why: 'makes certificates for servers of the tests' },
  {
    command: 'redis-server',
    aptPackage: 'redis-server',
    why: 'several control planes share one',
  },
  ...['proxy', 'account', 'container', 'object'].map((name) => ({
    command: `swift-${name}-server`,
    aptPackage: `swift-${name}`,
    why: 'OpenStack Swift is the S3-compatible service that an origin stores in',
  })),
  { command: 'dig', aptPackage: 'bind9-dnsutils', why: 'asks the DNS server' },
  { command: 'delv', aptPackage: 'bind9-dnsutils', why: 'checks signatures of DNSSEC' },
  { command: 'kdig', aptPackage: 'knot-dnsutils', why: 'asks it, too, by code of other people' },
  { command: 'nsd', aptPackage: 'nsd', why: 'a parent zone delegates to routers' },
  { command: 'unbound', aptPackage: 'unbound', why: 'a resolver that clients ask' },
  { command: 'bird', aptPackage: 'bird2', why: 'a router that anycast prefixes are announced to' },
  { command: 'exabgp', aptPackage: 'exabgp', why: 'announces them, as our process tells it' },
  { command: 'script', aptPackage: 'bsdutils', why: 'commands run on a terminal' },
  { command: 'fish', aptPackage: 'fish', why: 'it completes commands' },
  { command: 'zsh', aptPackage: 'zsh', why: 'it reads what completes commands' },
  { command: 'nginx', aptPackage: 'nginx-light', why: 'what a benchmark measures against' },
  { command: 'dnsperf', aptPackage: 'dnsperf', why: 'asks DNS servers in a benchmark' },
  { command: 'gdnsd', aptPackage: 'gdnsd', why: 'what a benchmark of DNS measures against' },
  { command: 'pdns_server', aptPackage: 'pdns-backend-geoip', why: 'another of these' },
  { command: 'wrk', aptPackage: 'wrk', why: 'loads HTTP/1.1 in the same benchmark' },
  { command: 'h2load', aptPackage: 'nghttp2-client', why: 'loads HTTP/2, by code of other people' },
  { command: 'testssl', aptPackage: 'testssl.sh', why: 'looks for weaknesses of TLS' },
  { command: 'pebble', aptPackage: 'pebble', why: 'an authority issues certificates' },
  { command: 'promtool', aptPackage: 'prometheus', why: 'reads metrics as Prometheus does' },
  { command: 'systemd-analyze', aptPackage: 'systemd', why: 'checks units' },
  { command: 'prometheus', aptPackage: 'prometheus', why: 'scrapes a network for its dashboard' },
  { command: 'ffmpeg', aptPackage: 'ffmpeg', why: 'makes the video' },
];

/** After the tests: what was missing has kept some of them from passing for the right reason. */
const isRequired = process.argv.includes('--required') && process.env['CI'] === 'true';

const isThere = ({ command }: Tool): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some((dir) => existsSync(join(dir, command)));

const missing = TOOLS.filter((tool) => !isThere(tool));
if (missing.length > 0) {
  if (canInstall() && !isRequired) install(missing);
  const left = missing.filter((tool) => !isThere(tool));
  if (left.length > 0) {
    console.error(`Missing for the tests: ${left.map(explain).join('; ')}`);
    if (isRequired) process.exitCode = 1;
  }
}

function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version');
}

function install(tools: readonly Tool[]): void {
  const packages = tools.map(({ aptPackage }) => aptPackage);
  console.log(`Installing for the tests: ${packages.join(', ')}`);
  const installed = aptGet('update') && aptGet('install', '--no-install-recommends', ...packages);
  if (!installed) console.error('apt-get failed');
}

function aptGet(...args: string[]): boolean {
  const { status, stderr, error } = spawnSync('apt-get', ['--yes', '--quiet', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    encoding: 'utf8',
  });
  if (status === 0) return true;
  console.error(error?.message ?? stderr.trim());
  return false;
}

function explain({ command, aptPackage, why }: Tool): string {
  return `${command} (package ${aptPackage}): ${why}`;
}
