import { OTHER } from '#core/telemetry/rows.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import { RCODE, type Rcode, rcodeName, TYPE, typeName } from './wire/codes.ts';

export type Transport = 'udp' | 'tcp';

const TRANSPORTS: readonly Transport[] = ['udp', 'tcp'];
/** Types that are counted by name; the last place is for all others. */
const TYPES: readonly number[] = Object.values(TYPE);
const RCODES: readonly Rcode[] = Object.values(RCODE);

/** What has come of queries since the start. */
export class DnsCounters {
  /** Messages that were no queries. */
  ignored = 0;
  /** Answers that the rate limit kept back. */
  dropped = 0;
  /** Answers that the rate limit sent truncated. */
  slipped = 0;
  /** Answers too long for UDP. */
  truncated = 0;
  /** Answers made. */
  total = 0;
  /** By place. */
  readonly #answered = new Float64Array(TRANSPORTS.length * (TYPES.length + 1) * RCODES.length);

  /** Where answers like this are counted. */
  placeOf(transport: Transport, type: number | undefined, rcode: Rcode): number {
    const known = type === undefined ? -1 : TYPES.indexOf(type);
    const row = TRANSPORTS.indexOf(transport) * (TYPES.length + 1);
    return (row + (known < 0 ? TYPES.length : known)) * RCODES.length + RCODES.indexOf(rcode);
  }

  /** @param place of `placeOf` */
  answered(place: number): void {
    this.total++;
    this.#answered[place] = (this.#answered[place] ?? 0) + 1;
  }

  sample(samples: Samples): void {
    for (const transport of TRANSPORTS) {
      for (const type of [...TYPES, undefined]) {
        for (const rcode of RCODES) {
          const count = this.#answered[this.placeOf(transport, type, rcode)] ?? 0;
          if (count === 0) continue;
          const name = type === undefined ? OTHER : typeName(type);
          samples.add('canopy_dns_queries_total', count, transport, name, rcodeName(rcode));
        }
      }
    }
    samples.add('canopy_dns_ignored_total', this.ignored);
    samples.add('canopy_dns_rate_limited_total', this.dropped, 'dropped');
    samples.add('canopy_dns_rate_limited_total', this.slipped, 'truncated');
    samples.add('canopy_dns_truncated_total', this.truncated);
  }
}
