import type { LatencyEntry } from '#core/contract/latency.ts';
import type { Client } from './client.ts';
import { parsePrefix, type Prefix } from './prefix.ts';
import { PrefixTable } from './prefix-table.ts';

/** A round trip that is known from measurements, and of whom. */
export interface Measurement {
  readonly roundTripMs: number;
  readonly level: LatencyEntry['level'];
  /** The network, ASN or country. */
  readonly of: string;
  /** Observations of the network, or networks that agree. */
  readonly samples: number;
}

/** What has been measured between a client's network and an edge; `undefined` where too little is known. */
export type MeasuredTo = (edge: string) => Measurement | undefined;

type Edges = ReadonlyMap<string, Measurement>;

interface Known {
  readonly length: number;
  readonly edges: Edges;
}

/** Measured round trips: by network, else by ASN, else by country. */
export class Latencies {
  readonly size: number;
  readonly #networks: PrefixTable<Known>;
  readonly #groups: ReadonlyMap<string, Edges>;

  constructor(entries: readonly LatencyEntry[]) {
    this.size = entries.length;
    this.#networks = new PrefixTable(
      entries.flatMap((entry): (readonly [Prefix, Known])[] => {
        const prefix = entry.level === 'network' ? parsePrefix(entry.of) : undefined;
        if (prefix === undefined) return [];
        return [[prefix, { length: prefix.length, edges: edgesOf(entry) }]];
      }),
    );
    const groups = entries.filter(({ level }) => level !== 'network');
    this.#groups = new Map(groups.map((entry) => [keyOf(entry.level, entry.of), edgesOf(entry)]));
  }

  /** The first so many bits of the address decide what has been measured of its network. */
  lengthAt(address: Prefix): number {
    return this.#networks.match(address).length;
  }

  /** @returns `unmeasured` where nothing is known */
  about({ network, asn, country }: Client): MeasuredTo {
    if (this.size === 0) return unmeasured;
    const levels = this.#networks
      .match(network)
      .values.filter(({ length }) => length <= network.length)
      .map(({ edges }) => edges)
      .toReversed();
    if (asn !== undefined) levels.push(this.#group('asn', asn));
    if (country !== undefined) levels.push(this.#group('country', country));
    if (levels.every(({ size }) => size === 0)) return unmeasured;
    return (edge) => {
      for (const edges of levels) {
        const found = edges.get(edge);
        if (found !== undefined) return found;
      }
      return undefined;
    };
  }

  #group(level: LatencyEntry['level'], of: string | number): Edges {
    return this.#groups.get(keyOf(level, of)) ?? NOTHING;
  }
}

const NOTHING: Edges = new Map();

export const NO_LATENCIES = new Latencies([]);

/** Of whom nothing is known. */
export const unmeasured: MeasuredTo = () => undefined;

const keyOf = (level: LatencyEntry['level'], of: string | number): string => `${level} ${of}`;

const edgesOf = ({ level, of, edges }: LatencyEntry): Edges =>
  new Map(
    edges.map(({ edge, roundTripMs, samples }) => [edge, { roundTripMs, level, of, samples }]),
  );
