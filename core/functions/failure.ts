/**
 * Why a function did not do what it was asked.
 * - `threw`: an error that it did not catch; also one that keeps it from being loaded
 * - `cpu`, `memory`: it took more than it may
 * - `result`: what it returned is no request or answer
 * - `busy`: too many calls wait, or this one did for too long
 */
export const FAILURES = ['threw', 'cpu', 'memory', 'result', 'busy'] as const;

export type FailureReason = (typeof FAILURES)[number];

/** The message is for those who wrote the function. */
export class FunctionFailure extends Error {
  override readonly name = 'FunctionFailure';
  readonly reason: FailureReason;

  constructor(reason: FailureReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
