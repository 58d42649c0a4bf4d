import { systemClock } from '#core/clock.ts';
import { nodeSchema } from '#core/contract/node.ts';
import { networkRoutingSchema } from '#core/contract/routing.ts';
import { siteSchema } from '#core/contract/site.ts';
import { embeddedCountries } from '#core/geography/embedded.ts';
import { DnsCounters } from '#control-plane/routing/dns/counters.ts';
import { RateLimit } from '#control-plane/routing/dns/rate-limit.ts';
import { Responder } from '#control-plane/routing/dns/responder.ts';
import type { Candidate } from '#control-plane/routing/engine/candidate.ts';
import { Chooser } from '#control-plane/routing/engine/chooser.ts';
import { decide, fieldOf } from '#control-plane/routing/engine/decide.ts';
import { unmeasured } from '#control-plane/routing/engine/latencies.ts';
import { Overrides } from '#control-plane/routing/engine/overrides.ts';
import { parsePrefix } from '#control-plane/routing/engine/prefix.ts';
import { Geography } from '#control-plane/routing/geography/geography.ts';
import { RouterView } from '#control-plane/routing/view/view.ts';
import { type BenchOptions, cpuNs, median, type Result } from './benchmark.ts';
import { queryFor } from './dns-query.ts';
import { seededRandom } from './random.ts';

const ROUNDS = 7;
const EDGE_COUNTS = [10, 100, 1_000];
const DECISIONS = 20_000;
/** Networks that are asked for one after the other, each once. */
const NETWORKS = 50_000;

const site = siteSchema.parse({
  name: 'film',
  hosts: ['www.film.example'],
  origin: { kind: 'push' },
  routing: { answers: 1 },
});

type Place = () => { readonly latitude: number; readonly longitude: number };

/** What one decision takes: with every step told, as for lists and explanations, and for DNS. */
export function deciding({ scale }: BenchOptions): Result {
  const random = seededRandom(11);
  const place: Place = () => ({
    latitude: random() * 120 - 50,
    longitude: random() * 360 - 180,
  });
  const rows = EDGE_COUNTS.map((count) => [
    String(count),
    ...decisionsAmong(count, place, Math.ceil((DECISIONS * scale) / count)),
    answering(count, place, Math.ceil(NETWORKS * scale)),
  ]);
  return {
    title: 'What is not known yet, µs of processor',
    columns: ['edges', 'a decision with its reasons', 'a choice', 'a DNS answer'],
    rows,
  };
}

function decisionsAmong(count: number, place: Place, times: number): readonly string[] {
  const candidates = Array.from({ length: count }, (_, i): Candidate => ({
    name: `edge-${i}`,
    point: place(),
    weight: 1,
    condition: 'well',
    families: new Set([4]),
    shed: 0,
  }));
  const overrides = new Overrides([]);
  const network = parsePrefix('192.0.2.0/24');
  if (network === undefined) throw new Error('no network');
  const chooser = new Chooser(fieldOf({ site, candidates }, []), site);
  const decided = [
    (client: Parameters<Chooser['choose']>[0]) => decide({ site, client, candidates, overrides }),
    (client: Parameters<Chooser['choose']>[0]) => chooser.choose(client, unmeasured),
  ];
  return decided.map((one) => {
    const rounds = Array.from({ length: ROUNDS + 1 }, (_, round) => {
      const before = cpuNs();
      for (let i = 0; i < times; i++) {
        one({ network, key: `${round} ${i}`, source: 'city', point: place() });
      }
      return (cpuNs() - before) / times / 1000;
    });
    return median(rounds.slice(1)).toFixed(1);
  });
}

/** From message to message, for networks all over the world that nobody has asked for before. */
function answering(count: number, place: Place, networks: number): string {
  const nodes = Array.from({ length: count }, (_, i) =>
    nodeSchema.parse({
      name: `edge-${i}`,
      tier: 'edge',
      location: { name: 'anywhere', ...place() },
      url: `http://198.18.${i >> 8}.${i & 255}`,
    }),
  );
  const geography = new Geography([embeddedCountries()]);
  const view = new RouterView({ clock: systemClock, geography });
  view.configure({
    journal: 'bench',
    sequence: 1,
    bans: [],
    certificates: [],
    network: {
      tierKey: 'a key for this benchmark',
      routing: networkRoutingSchema.parse({ zones: [{ name: 'cdn.example' }] }),
    },
    nodes,
    sites: [site],
  });
  const responder = new Responder({
    clock: systemClock,
    source: () => view.source,
    cookies: () => undefined,
    rateLimit: new RateLimit(0),
    counters: new DnsCounters(),
    name: 'router',
    onError: (message) => {
      throw new Error(message);
    },
  });
  const queries = knownNetworks(networks).map((network) => queryFor(network));
  const before = cpuNs();
  for (const query of queries) responder.respond(query, '127.0.0.1', 'udp');
  return ((cpuNs() - before) / networks / 1000).toFixed(1);
}

/** Bytes of as many /24 of which the registries tell the country, evenly over the address space. */
function knownNetworks(count: number): readonly (readonly number[])[] {
  const networks: (readonly number[])[] = [];
  // A step that has no common factor with 2^24 comes to every /24 once.
  for (let i = 0; networks.length < count; i++) {
    const place = (i * 10_368_889) % 2 ** 24;
    const network = [place >> 16, (place >> 8) & 255, place & 255];
    const { country } = embeddedCountries().match(`${network.join('.')}.0`).record;
    if (country !== undefined) networks.push(network);
  }
  return networks;
}
