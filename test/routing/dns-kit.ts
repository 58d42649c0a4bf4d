import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { promisify } from 'node:util';
import packet from 'dns-packet';
import { onTestFinished } from 'vitest';
import type { Clock } from '#core/clock.ts';
import type { Config } from '#core/contract/event.ts';
import { type Node, nodeSchema } from '#core/contract/node.ts';
import { networkRoutingSchema } from '#core/contract/routing.ts';
import { siteSchema } from '#core/contract/site.ts';
import { embeddedCountries } from '#core/geography/embedded.ts';
import { candidatesOf, type EdgeView } from '#control-plane/routing/candidates.ts';
import type { AnswerSource } from '#control-plane/routing/dns/answer.ts';
import { Cookies } from '#control-plane/routing/dns/cookies.ts';
import { DnsCounters } from '#control-plane/routing/dns/counters.ts';
import { RateLimit } from '#control-plane/routing/dns/rate-limit.ts';
import { Responder } from '#control-plane/routing/dns/responder.ts';
import { signersFor } from '#control-plane/routing/dns/dnssec/signers.ts';
import { DnsServer } from '#control-plane/routing/dns/server.ts';
import { Zones } from '#control-plane/routing/dns/zones.ts';
import { Overrides } from '#control-plane/routing/engine/overrides.ts';
import type { Prefix } from '#control-plane/routing/engine/prefix.ts';
import { Geography } from '#control-plane/routing/geography/geography.ts';
import { Routes } from '#control-plane/routing/routes.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { type City, CITIES } from './kit.ts';

const run = promisify(execFile);

/** An edge in `city`, with an address of each family that tells which city it is. */
export function edgeNode(city: City, addresses?: readonly string[]): Node {
  const place = Object.keys(CITIES).indexOf(city) + 1;
  const [latitude, longitude, country] = CITIES[city];
  return nodeSchema.parse({
    name: city,
    tier: 'edge',
    location: { name: city, latitude, longitude, country },
    url: `http://198.18.0.${place}`,
    addresses: addresses ?? [`198.18.0.${place}`, `3fff::${place}`],
  });
}

const ROUTER = nodeSchema.parse({
  name: 'router-1',
  tier: 'router',
  location: { name: 'oslo', latitude: 59.91, longitude: 10.75 },
  url: 'http://198.18.1.1',
  addresses: ['198.18.1.1', '3fff:1::1'],
  hostname: 'ns1.cdn.example',
});

export interface Changes {
  readonly nodes?: readonly Node[];
  readonly sites?: readonly object[];
  readonly routing?: object;
}

/** A zone `cdn.example` with a site `film` and whatever `changes` say. */
export function configOf({ nodes, sites = [], routing = {} }: Changes = {}): Config {
  const film = {
    name: 'film',
    hosts: ['www.film.example', '*.wild.cdn.example'],
    origin: { kind: 'push' },
    routing: { alpn: ['h2', 'http/1.1'] },
  };
  const zone = {
    name: 'cdn.example',
    records: [
      { name: 'cdn.example', type: 'CAA', values: [{ tag: 'issue', value: 'letsencrypt.org' }] },
      { name: '_acme-challenge.film.cdn.example', type: 'TXT', values: ['proof'] },
      { name: 'alias.cdn.example', type: 'CNAME', values: ['film.cdn.example'] },
      { name: 'away.cdn.example', type: 'CNAME', values: ['www.elsewhere.example'] },
      { name: 'a.deep.empty.cdn.example', type: 'TXT', values: ['here'] },
      { name: 'big.cdn.example', type: 'TXT', values: ['a', 'b', 'c'].map((c) => c.repeat(700)) },
    ],
  };
  return {
    journal: 'test',
    bans: [],
    certificates: [],
    sequence: 42,
    network: {
      tierKey: '0123456789abcdef',
      routing: networkRoutingSchema.parse({ zones: [zone], ...routing }),
    },
    nodes: [...(nodes ?? (Object.keys(CITIES) as City[]).map((city) => edgeNode(city))), ROUTER],
    sites: [film, ...sites].map((site) => siteSchema.parse(site)),
  };
}

export const WELL: EdgeView = { condition: 'well', shed: 0 };

interface SourceOptions {
  readonly geography?: Geography;
  readonly viewOf?: (node: Node) => EdgeView;
}

export function sourceOf(config: Config, options: SourceOptions = {}): AnswerSource {
  const { geography = new Geography([embeddedCountries()]), viewOf = () => WELL } = options;
  const routes = new Routes(geography, {
    candidates: candidatesOf(config.nodes, viewOf),
    overrides: new Overrides(config.network.routing?.overrides ?? []),
  });
  return {
    zones: new Zones(config),
    serial: config.sequence,
    nodes: new Map(config.nodes.map((node) => [node.name, node])),
    signers: signersFor(config),
    choose: (...asked) => routes.choose(...asked),
    situation: () => routes.situation,
    ttlSeconds: ({ routing }) => routing.ttlSeconds,
  };
}

export interface ServedOptions {
  readonly source?: AnswerSource;
  readonly host?: string;
  readonly port?: number;
  readonly clock?: Clock;
  readonly perSecond?: number;
}

/** A real server on loopback, and the real clients that ask it. */
export class Served {
  readonly server: DnsServer;
  readonly counters: DnsCounters;
  #closed: Promise<void> | undefined;

  private constructor(server: DnsServer, counters: DnsCounters) {
    this.server = server;
    this.counters = counters;
  }

  static async start(options: ServedOptions = {}): Promise<Served> {
    const { host = '127.0.0.1', port = 0, clock = new FakeClock(), perSecond = 0 } = options;
    const source = options.source ?? sourceOf(configOf());
    const counters = new DnsCounters();
    const cookies = new Cookies(Buffer.alloc(16, 7));
    const responder = new Responder({
      clock,
      source: () => source,
      cookies: () => cookies,
      rateLimit: new RateLimit(perSecond),
      counters,
      name: 'router-1',
      onError: (message) => {
        throw new Error(message);
      },
    });
    const server = await DnsServer.open({ host, port }, responder);
    const served = new Served(server, counters);
    onTestFinished(() => served.close());
    return served;
  }

  close(): Promise<void> {
    return (this.#closed ??= this.server.close());
  }

  get port(): number {
    return this.server.address.port;
  }

  /** @param args as on the command line, without server and port */
  dig(...args: readonly string[]): Promise<string> {
    return this.#ask('dig', args);
  }

  kdig(...args: readonly string[]): Promise<string> {
    return this.#ask('kdig', args);
  }

  /** The answer section alone, without TTLs, a line each. */
  async records(...args: readonly string[]): Promise<string[]> {
    const output = await this.dig('+noall', '+answer', '+nottlid', ...args);
    return output
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith(';'))
      .map((line) => line.replaceAll(/\s+/g, ' '));
  }

  /** The addresses of an A answer to a resolver that tells of `subnet`: by UDP, without a process for each. */
  async ask(name: string, { bytes, length }: Prefix): Promise<string[]> {
    const message = packet.encode({
      type: 'query',
      id: 1,
      questions: [{ type: 'A', name }],
      additionals: [
        {
          type: 'OPT',
          name: '.',
          udpPayloadSize: 1232,
          options: [
            {
              code: 'CLIENT_SUBNET',
              family: 1,
              ip: bytes.join('.'),
              sourcePrefixLength: length,
              scopePrefixLength: 0,
            },
          ],
        },
      ] as unknown as packet.Answer[],
    });
    const socket = createSocket('udp4');
    socket.send(message, this.port, this.server.address.host);
    const [answer] = (await once(socket, 'message')) as [Buffer];
    socket.close();
    return (packet.decode(answer).answers ?? []).flatMap((one) =>
      one.type === 'A' ? [one.data] : [],
    );
  }

  async #ask(command: string, args: readonly string[]): Promise<string> {
    const { host } = this.server.address;
    const place = [`@${host}`, '-p', String(this.port), '+time=5', '+tries=1', '+retry=0'];
    const { stdout } = await run(
      command,
      [...place, ...args].filter((arg) => command === 'dig' || arg !== '+tries=1'),
    ).catch((error: { stdout: string }) => error);
    return stdout;
  }
}
