/** What `GET /v1/traffic` answers. */
export interface TrafficAnswer {
  readonly stepMs: number;
  readonly from: number;
  readonly groups: readonly TrafficGroup[];
}

export interface TrafficGroup {
  readonly name: string;
  readonly series: Figures<readonly (number | null)[]>;
  readonly total: Figures<number | null>;
}

type Figures<T> = Readonly<
  Record<
    | 'requests'
    | 'hits'
    | 'bytesSent'
    | 'hitBytes'
    | 'errors'
    | 'upstreamRequests'
    | 'originRequests'
    | 'p50Ms'
    | 'p90Ms'
    | 'p99Ms',
    T
  >
>;

/** A part of a whole, step by step. */
export const shares = (
  parts: readonly (number | null)[],
  wholes: readonly (number | null)[],
): (number | null)[] =>
  parts.map((part, i) => {
    const whole = wholes[i] ?? null;
    return part === null || whole === null || whole === 0 ? null : part / whole;
  });

/** Counts of a step as so many per second. */
export const perSecond = (counts: readonly (number | null)[], stepMs: number): (number | null)[] =>
  counts.map((count) => (count === null ? null : (count * 1000) / stepMs));

/** How much of what clients ask edges for the origins are spared: `null` where nobody asked. */
export function offloadOf(tiers: readonly TrafficGroup[]): number | null {
  const asked = tiers.find(({ name }) => name === 'edge')?.total.requests ?? 0;
  const passed = tiers.reduce((sum, { total }) => sum + (total.originRequests ?? 0), 0);
  return asked === 0 ? null : Math.max(0, 1 - passed / asked);
}
