import { OTHER } from '#core/telemetry/rows.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import { type Rcode, rcodeName, TYPE, typeName } from './wire/codes.ts';

export type Transport = 'udp' | 'tcp';

const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(TYPE));

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
  readonly #answered = new Map<string, number>();

  answered(transport: Transport, type: number | undefined, rcode: Rcode): void {
    const name = type !== undefined && KNOWN_TYPES.has(type) ? typeName(type) : OTHER;
    const key = `${transport}\n${name}\n${rcodeName(rcode)}`;
    this.total++;
    this.#answered.set(key, (this.#answered.get(key) ?? 0) + 1);
  }

  sample(samples: Samples): void {
    for (const [key, count] of this.#answered) {
      samples.add('canopy_dns_queries_total', count, ...key.split('\n'));
    }
    samples.add('canopy_dns_ignored_total', this.ignored);
    samples.add('canopy_dns_rate_limited_total', this.dropped, 'dropped');
    samples.add('canopy_dns_rate_limited_total', this.slipped, 'truncated');
    samples.add('canopy_dns_truncated_total', this.truncated);
  }
}
