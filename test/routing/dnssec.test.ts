import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Config } from '#core/contract/event.ts';
import { delegationSigners, withKeysFor } from '#control-plane/routing/dnssec-keys.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { configOf, Served, sourceOf, WELL } from './dns-kit.ts';
import { ownAddresses, Resolver, withRouters } from './resolver.ts';

// Zones that are signed, as those see it who check signatures: delv, Unbound and kdig.

const run = promisify(execFile);
const LONDON = '+subnet=81.2.69.0/24';
const DAY_SECONDS = 86_400;

/** Delv and Unbound go by the real time. */
const nowClock = (): FakeClock => {
  const clock = new FakeClock();
  clock.advance(`${Date.now() - clock.now()}ms`);
  return clock;
};

let signed: Config;
let ds: string;
beforeAll(() => {
  const config = configOf();
  const routing = config.network.routing;
  if (routing === undefined) throw new Error('no zones');
  const zones = routing.zones.map((zone) => ({ ...zone, dnssec: true }));
  signed = {
    ...config,
    network: withKeysFor({ ...config.network, routing: { ...routing, zones } }),
  };
  const [signer] = delegationSigners(signed.network);
  ds = `${signer?.keyTag} ${signer?.algorithm} ${signer?.digestType}`;
  ds = `${ds} ${signer?.digest}`;
});

const QUESTIONS: readonly (readonly [title: string, name: string, type: string, says: string])[] = [
  ['A by client', 'film.cdn.example', 'A', '198.18.0.'],
  ['AAAA', 'film.cdn.example', 'AAAA', '3fff::'],
  ['HTTPS', 'film.cdn.example', 'HTTPS', 'ipv4hint=198.18.'],
  ['what a wildcard stands for', 'any.wild.cdn.example', 'A', '198.18.0.'],
  ['CNAME, followed', 'alias.cdn.example', 'A', '198.18.0.'],
  ['TXT', '_acme-challenge.film.cdn.example', 'TXT', '"proof"'],
  ['CAA', 'cdn.example', 'CAA', 'letsencrypt.org'],
  ['NS', 'cdn.example', 'NS', 'ns1.cdn.example.'],
  ['SOA', 'cdn.example', 'SOA', 'hostmaster.cdn.example.'],
  ['DNSKEY', 'cdn.example', 'DNSKEY', '257 3 13'],
  ['names in whatever case', 'FiLm.CDN.example', 'A', '198.18.0.'],
];

const DENIED: readonly (readonly [title: string, name: string, type: string])[] = [
  ['a name that does not exist', 'none.cdn.example', 'A'],
  ['one below it', 'a.b.none.cdn.example', 'AAAA'],
  ['a type that a site has not', 'film.cdn.example', 'MX'],
  ['a type that the zone has not', 'cdn.example', 'TXT'],
  ['an empty non-terminal', 'empty.cdn.example', 'A'],
  ['the end of an alias', 'ns1.cdn.example', 'HTTPS'],
];

const delved = async (name: string, type: string): Promise<string> => {
  const served = await Served.start({ source: sourceOf(signed), clock: nowClock() });
  const dir = await mkdtemp(join(tmpdir(), 'canopy-dnssec-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));
  const [keyTag, algorithm, digestType, digest] = ds.split(' ');
  const anchor = `"cdn.example." static-ds ${keyTag} ${algorithm} ${digestType} "${digest}";`;
  await writeFile(join(dir, 'anchors'), `trust-anchors { ${anchor} };`);
  const place = ['-a', join(dir, 'anchors'), '+root=cdn.example', '-p', String(served.port)];
  const ask = ['@127.0.0.1', ...place, name, type];
  const { stdout, stderr } = await run('delv', ask).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  return stdout + stderr;
};

async function validating(config: Config, anchor: string) {
  const at = ownAddresses();
  const clock = nowClock();
  const source = sourceOf(withRouters(config, [at(1)]));
  await Served.start({ source, clock, host: at(1), port: 53 });
  return Resolver.start({
    resolver: at(4),
    parent: at(3),
    servers: { ns1: at(1) },
    settings: ['module-config: "validator iterator"', `trust-anchor: "cdn.example. DS ${anchor}"`],
  });
}

describe('delv, with the DS record that the control plane tells', () => {
  it.each(QUESTIONS)('finds fully validated: %s', async (_, name, type, says) => {
    const output = await delved(name, type);
    expect(output).toContain('; fully validated');
    expect(output).toContain(says);
  });

  it.each(DENIED)('finds it proven that there is no such thing: %s', async (_, name, type) => {
    expect(await delved(name, type)).toMatch(/; negative response, fully validated/);
  });
});

describe('Unbound, with a trust anchor', () => {
  it('says that all is authentic', async () => {
    const resolver = await validating(signed, ds);
    for (const [, name, type] of QUESTIONS) {
      const output = await resolver.dig('+dnssec', name, type);
      expect(output).toMatch(/status: NOERROR[^]*flags: qr rd ra ad;/);
    }
    for (const [, name, type] of DENIED) {
      const output = await resolver.dig('+dnssec', name, type);
      expect(output).toMatch(/status: (?:NOERROR|NXDOMAIN)[^]*flags: qr rd ra ad;/);
    }
  });

  it('refuses what another key has signed', async () => {
    const { dnssecKeys: _, ...network } = signed.network;
    const resolver = await validating({ ...signed, network: withKeysFor(network) }, ds);
    expect(await resolver.dig('film.cdn.example', 'A')).toContain('SERVFAIL');
  });

  it('refuses a zone that is not signed where it should be', async () => {
    const resolver = await validating(configOf(), ds);
    expect(await resolver.dig('film.cdn.example', 'A')).toContain('SERVFAIL');
  });
});

describe('a signed zone', () => {
  it('is the same as ever to those who do not want signatures', async () => {
    const [plain, served] = [
      await Served.start(),
      await Served.start({ source: sourceOf(signed) }),
    ];
    for (const [, name, type] of [...QUESTIONS, ...DENIED]) {
      if (type === 'DNSKEY') continue;
      const args = [
        '+nocookie',
        '+noall',
        '+answer',
        '+authority',
        '+comments',
        '+qid=7',
        name,
        type,
        LONDON,
      ];
      const unsigned = (await plain.dig(...args)).replaceAll(/port: \d+/g, '');
      expect((await served.dig(...args)).replaceAll(/port: \d+/g, '')).toBe(unsigned);
    }
  });

  it('denies by one NSEC record, which tells of no other name (RFC 9824)', async () => {
    const served = await Served.start({ source: sourceOf(signed) });
    const none = (await served.dig('+dnssec', 'None.cdn.example', 'A')).replaceAll(/[ \t]+/g, ' ');
    expect(none).toContain('status: NOERROR');
    expect(none).toMatch(
      /None\.cdn\.example\. 30 IN NSEC \\000\.none\.cdn\.example\. RRSIG NSEC TYPE128/,
    );
    const film = (await served.dig('+dnssec', 'film.cdn.example', 'MX')).replaceAll(/[ \t]+/g, ' ');
    expect(film).toMatch(
      /film\.cdn\.example\. 30 IN NSEC \\000\.film\.cdn\.example\. A AAAA RRSIG NSEC HTTPS/,
    );
    // The flag of those who know it: then the code may say it, too.
    const compact = await served.dig('+ednsflags=0xc000', 'none.cdn.example', 'A');
    expect(compact).toContain('status: NXDOMAIN');
  });

  it('has a signature as long as it is good for half its time, then another', async () => {
    const clock = nowClock();
    const served = await Served.start({ source: sourceOf(signed), clock });
    const signature = async () => {
      const [line = ''] = (await served.records('+dnssec', 'film.cdn.example', 'A', LONDON)).filter(
        (one) => one.includes('RRSIG'),
      );
      const [, expires = '', begins = '', rest = ''] =
        /RRSIG A 13 3 30 (\d{14}) (\d{14}) (.*)/.exec(line) ?? [];
      return { rest, expires: seconds(expires), begins: seconds(begins) };
    };
    const nowSeconds = Math.floor(clock.now() / 1000);
    const first = await signature();
    expect(first.begins).toBeLessThanOrEqual(nowSeconds - 3600);
    expect(first.expires).toBe(nowSeconds + 4 * DAY_SECONDS);
    clock.advance('47h');
    expect(await signature()).toEqual(first);
    clock.advance('2h');
    const second = await signature();
    expect(second.expires).toBe(first.expires + 49 * 3600);
    expect(second.rest).not.toBe(first.rest);
  });

  it('has its signatures cut off by UDP like all else, never a part of them', async () => {
    const served = await Served.start({ source: sourceOf(signed) });
    const output = await served.dig('+dnssec', '+bufsize=512', '+ignore', 'cdn.example', 'NS');
    expect(output).toMatch(/status: NOERROR/);
    const long = await served.dig('+dnssec', '+ignore', 'big.cdn.example', 'TXT');
    expect(long).toMatch(/flags: qr aa tc rd/);
  });

  it('says SERVFAIL as before where nobody is to be named', async () => {
    const strict = {
      ...signed,
      sites: signed.sites.map((site) => ({
        ...site,
        routing: { ...site.routing, lastResort: 'none' as const },
      })),
    };
    const source = sourceOf(strict, { viewOf: () => ({ ...WELL, condition: 'down' }) });
    const served = await Served.start({ source });
    expect(await served.dig('+dnssec', 'film.cdn.example', 'A')).toContain('SERVFAIL');
  });
});

/** Of `YYYYMMDDHHmmSS` (RFC 4034 §3.2). */
function seconds(text: string): number {
  const [year = 0, month = 1, ...rest] = [
    text.slice(0, 4),
    ...(text.slice(4).match(/../g) ?? []),
  ].map(Number);
  return Date.UTC(year, month - 1, ...rest) / 1000;
}
