import { isHit, type Outcome } from './cache-status.ts';
import type { Action, Reason } from '#core/cache/policy/decide.ts';

/** Totals of one thread since it started. */
export class Counters {
  requests = 0;
  hits = 0;
  /** Bytes of content sent to clients. */
  bytesSent = 0;
  /** Stored variants that went because their URL had as many as its site allows. */
  variantsDropped = 0;
  /** Requests by what was decided and why. */
  readonly decisions = new Map<`${Action} ${Reason}`, number>();

  record(outcome: Outcome, bytesSent: number): void {
    this.requests++;
    this.bytesSent += bytesSent;
    if (isHit(outcome)) this.hits++;
    const decision = `${outcome.action} ${outcome.reason}` as const;
    this.decisions.set(decision, (this.decisions.get(decision) ?? 0) + 1);
  }
}
