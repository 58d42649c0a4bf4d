import { createHash } from 'node:crypto';
import {
  EMPTY_LATENCY_MAP,
  type LatencyEntry,
  type LatencyMapContent,
} from '#core/contract/latency.ts';
import { aged, areAlike, medianOf, weightOf } from './histogram.ts';
import type { MeasuredNetwork, Shard } from './shard.ts';

/** Observations without which a network is not gone by; one that is, is until half of them are left. */
export const LEAST_SAMPLES = 8;
/** Networks that must agree before others of their ASN or country go by them. */
export const LEAST_NETWORKS = 3;

/** A network's word on one edge. */
interface Vote {
  readonly edge: string;
  readonly roundTripMs: number;
  readonly samples: number;
}

/**
 * All that has been measured often enough. An ASN, and a country, is where its networks agree: each
 * has one vote, however much it reports, and where the middle half of them lies far apart, as in a
 * large country, nothing is said of the whole. What hardly differs from what was told before stays as it
 * was, so that clients do not go to and fro between edges.
 * @param edges those that there are
 */
export function mapOf(
  shards: readonly Shard[],
  edges: ReadonlySet<string>,
  now: number,
  before: LatencyMapContent = EMPTY_LATENCY_MAP,
): LatencyMapContent {
  const told = toldBefore(before);
  const networks = shards.flatMap((shard) => shard.networks);
  const heard = networks
    .map((of) => ({ of, votes: votesOf(of, edges, now, told) }))
    .filter(({ votes }) => votes.length > 0)
    .toSorted((a, b) => (a.of.network < b.of.network ? -1 : 1));
  const all: LatencyEntry[] = [
    ...heard.map(({ of, votes }): LatencyEntry => ({
      level: 'network',
      of: of.network,
      edges: [...votes],
    })),
    ...agreed('asn', heard, ({ asn }) => asn?.toString()),
    ...agreed('country', heard, ({ country }) => country),
  ];
  const entries = all.map((entry): LatencyEntry => {
    const settled = entry.edges.map((vote) => {
      const last = told(entry.level, entry.of, vote.edge);
      return last !== undefined && areAlike(last, vote.roundTripMs)
        ? { ...vote, roundTripMs: last }
        : vote;
    });
    return { ...entry, edges: settled };
  });
  const roundTrips = entries.map(({ level, of, edges: to }) => [
    level,
    of,
    to.map(({ edge, roundTripMs }) => [edge, roundTripMs]),
  ]);
  const digest = createHash('sha256').update(JSON.stringify(roundTrips)).digest('hex');
  return { digest, entries };
}

/** The round trip that routers go by now, ms. */
type Told = (level: LatencyEntry['level'], of: string, edge: string) => number | undefined;

function toldBefore({ entries }: LatencyMapContent): Told {
  const known = new Map(
    entries.flatMap(({ level, of, edges }) =>
      edges.map(({ edge, roundTripMs }) => [`${level} ${of} ${edge}`, roundTripMs] as const),
    ),
  );
  return (level, of, edge) => known.get(`${level} ${of} ${edge}`);
}

function votesOf(
  { network, edges }: MeasuredNetwork,
  existing: ReadonlySet<string>,
  now: number,
  told: Told,
): readonly Vote[] {
  return Object.entries(edges)
    .filter(([edge]) => existing.has(edge))
    .flatMap(([edge, histogram]) => {
      const current = aged(histogram, now);
      const roundTripMs = medianOf(current);
      const samples = Math.round(weightOf(current));
      const isTold = told('network', network, edge) !== undefined;
      return samples < (isTold ? LEAST_SAMPLES / 2 : LEAST_SAMPLES) || roundTripMs === undefined
        ? []
        : [{ edge, roundTripMs, samples }];
    })
    .toSorted((a, b) => (a.edge < b.edge ? -1 : 1));
}

function agreed(
  level: 'asn' | 'country',
  heard: readonly { readonly of: MeasuredNetwork; readonly votes: readonly Vote[] }[],
  keyOf: (of: MeasuredNetwork) => string | undefined,
): readonly LatencyEntry[] {
  const groups = Map.groupBy(heard, ({ of }) => keyOf(of));
  return [...groups].flatMap(([of, members]) => {
    if (of === undefined) return [];
    const byEdge = Map.groupBy(
      members.flatMap(({ of: { network }, votes }) => votes.map((vote) => ({ network, ...vote }))),
      ({ edge }) => edge,
    );
    const edges = [...byEdge].flatMap(([edge, votes]) => {
      const middle = middleOf(oneEach(votes));
      return middle === undefined ? [] : [{ edge, ...middle }];
    });
    return edges.length === 0 ? [] : [{ level, of, edges }];
  });
}

/** Whoever has a /48 of IPv6 mostly has the whole /32, and is still one. */
function oneEach(votes: readonly (Vote & { readonly network: string })[]): readonly number[] {
  const holders = Map.groupBy(votes, ({ network }) => holderOf(network));
  return [...holders.values()].map((own) => quantile(ascending(own), 0.5));
}

const holderOf = (network: string): string =>
  network.includes(':') ? network.split(':').slice(0, 2).join(':') : network;

/** How far networks may be apart, ms, or as a part of what is between them and the edge. */
const AGREEMENT_MS = 10;
const AGREEMENT_PART = 0.25;

function middleOf(
  roundTripsMs: readonly number[],
): { readonly roundTripMs: number; readonly samples: number } | undefined {
  if (roundTripsMs.length < LEAST_NETWORKS) return undefined;
  const sorted = roundTripsMs.toSorted((a, b) => a - b);
  const [low, roundTripMs, high] = [0.25, 0.5, 0.75].map((part) => quantile(sorted, part)) as [
    number,
    number,
    number,
  ];
  const isAgreed = high - low <= Math.max(AGREEMENT_MS, roundTripMs * AGREEMENT_PART);
  return isAgreed ? { roundTripMs, samples: sorted.length } : undefined;
}

const ascending = (votes: readonly Vote[]): readonly number[] =>
  votes.map(({ roundTripMs }) => roundTripMs).toSorted((a, b) => a - b);

/** The value that so large a part of them is at or below. */
const quantile = (sorted: readonly number[], part: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0;
