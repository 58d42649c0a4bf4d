import type { Clock } from '#core/clock.ts';

export interface Hedge<T> {
  readonly clock: Clock;
  /** How long the first is waited for alone. */
  readonly delayMs: number;
  readonly first: (lost: AbortSignal) => Promise<T>;
  /** Begins the second; `undefined`: there shall be none. */
  readonly second: () => ((lost: AbortSignal) => Promise<T>) | undefined;
  readonly isGood: (result: T) => boolean;
  /** Called with each result that is not the one resolved with. */
  readonly discard: (result: T) => void;
}

/**
 * The first good result of two attempts, of which the second is only begun when the first takes
 * long; the other is told by its signal that it has lost. Without a good one, the last result.
 * (Dean and Barroso, The Tail at Scale, 2013.)
 */
export function hedged<T>(hedge: Hedge<T>): Promise<T> {
  const { clock, delayMs, isGood, discard } = hedge;
  return new Promise((resolve, reject) => {
    const running = new Set<AbortController>();
    let isDecided = false;
    const run = (attempt: (lost: AbortSignal) => Promise<T>): void => {
      const lost = new AbortController();
      running.add(lost);
      attempt(lost.signal).then((result) => {
        running.delete(lost);
        if (isDecided || (!isGood(result) && running.size > 0)) {
          discard(result);
          return;
        }
        isDecided = true;
        cancel();
        for (const other of running) other.abort(new Outpaced());
        resolve(result);
      }, fail);
    };
    const fail = (error: unknown): void => {
      isDecided = true;
      cancel();
      for (const other of running) other.abort(new Outpaced());
      reject(error);
    };
    const cancel = clock.after(delayMs, () => {
      const second = isDecided ? undefined : hedge.second();
      if (second !== undefined) run(second);
    });
    run(hedge.first);
  });
}

/** Another parent has answered first. */
export class Outpaced extends Error {
  override readonly name = 'Outpaced';
  override readonly message = 'another parent has answered first';
}
