import type { Clock } from '#core/clock.ts';
import type { NodeLimits } from '#core/contract/node.ts';
import type { Load } from '#core/contract/report.ts';

/** What a node had done at one moment. */
export interface DatedLoad {
  /** Ms, of one clock. */
  readonly at: number;
  readonly load: Load;
}

/** The largest used part of the limits between two reports; `undefined`: they do not tell. */
export function usedPart(
  limits: NodeLimits | undefined,
  from: DatedLoad,
  to: DatedLoad,
): number | undefined {
  if (limits === undefined) return 0;
  const seconds = (to.at - from.at) / 1000;
  const rate = (counter: 'requests' | 'bytesSent'): number =>
    (to.load[counter] - from.load[counter]) / seconds;
  // It was restarted, or its clock was set back.
  if (seconds <= 0 || !hasCounted(from.load, to.load)) return undefined;
  const { requestsPerSecond = Infinity, megabitsPerSecond = Infinity } = limits;
  return Math.max(
    rate('requests') / requestsPerSecond,
    (rate('bytesSent') * 8) / 1e6 / megabitsPerSecond,
    to.load.connections / (limits.connections ?? Infinity),
  );
}

const hasCounted = (from: Load, to: Load): boolean =>
  to.requests >= from.requests && to.bytesSent >= from.bytesSent;

/** Threads tell what they have done once a second: shorter spans say nothing of rates. */
const LEAST_SPAN_MS = 5_000;

/** How near a node is to its limits, as it sees itself. */
export class OwnUse {
  readonly #clock: Clock;
  readonly #load: () => Load;
  #from: DatedLoad;
  #next: DatedLoad;

  constructor(clock: Clock, load: () => Load) {
    this.#clock = clock;
    this.#load = load;
    this.#from = this.#next = this.#now();
  }

  /** The largest part of the limits in use, over the last five seconds at least; 1 is all of them. */
  part(limits: NodeLimits | undefined): number {
    const now = this.#now();
    if (now.at - this.#next.at >= LEAST_SPAN_MS) {
      this.#from = this.#next;
      this.#next = now;
    }
    if (now.at - this.#from.at >= LEAST_SPAN_MS) return usedPart(limits, this.#from, now) ?? 0;
    return now.load.connections / (limits?.connections ?? Infinity);
  }

  #now(): DatedLoad {
    return { at: this.#clock.monotonicMs(), load: this.#load() };
  }
}
