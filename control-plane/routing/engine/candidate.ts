import type { Continent } from '#core/contract/routing.ts';
import type { Point } from './client.ts';

/** How well an edge is, the best first: when none is well, the first of these is the least bad. */
export const CONDITIONS = ['well', 'ailing', 'draining', 'unreported', 'down'] as const;
/**
 * `ailing`: it says that its disk fails, or a thread of it is silent. `draining`: the operator has it asked nothing new. `unreported`: it has not reported to the
 * control plane in time, but answers. `down`: it does not answer the checks.
 */
export type Condition = (typeof CONDITIONS)[number];

/** An edge as routing sees it. */
export interface Candidate {
  readonly name: string;
  readonly point: Point;
  readonly country?: string;
  readonly continent?: Continent;
  /** Relative share of the clients among equals. */
  readonly weight: number;
  readonly condition: Condition;
  /** Whether it has an address of each family. */
  readonly families: ReadonlySet<4 | 6>;
  /** Sites that want a certificate which it cannot get; absent: there is none. */
  readonly uncertified?: ReadonlySet<string>;
  /** The part of its clients that go elsewhere, because it has too much to do: 0 to 1. */
  readonly shed: number;
}
