import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import type { JournalEvent } from '#core/contract/event.ts';
import {
  NO_COUNTS,
  addCounts,
  type PushAnswer,
  pushAnswerSchema,
  type PushCounts,
  type PushReport,
  type PushRequest,
  type PushWork,
} from '#core/contract/push.ts';
import { validate } from '#core/contract/validate.ts';
import { messageOf } from '#core/errors.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import type { Place } from './placement.ts';
import { PushRun } from './push-run.ts';

const REPORT_MS = 2_000;
const SHORTEST_BACKOFF_MS = 500;
const LONGEST_BACKOFF_MS = 15_000;

export interface NodePushesOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly place: Place;
  /** @returns the control plane's answer */
  readonly post: (request: PushRequest) => Promise<unknown>;
}

/**
 * A node's part in pushes: it asks for some URLs at a time, stores them, and says what came of it.
 * The control plane remembers how far it is, so that a node that was restarted goes on from there.
 */
export class NodePushes {
  readonly #options: NodePushesOptions;
  #run: PushRun | undefined;
  /** Of what has ended, until the control plane knows. */
  #unsaid: PushReport | undefined;
  #totals: PushCounts = NO_COUNTS;
  #wanted = true;
  #wake: (() => void) | undefined;
  #stopped = false;
  #running: Promise<void> | undefined;

  constructor(options: NodePushesOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#loop();
  }

  /** The journal tells of pushes, or may have. @param event none with a whole configuration */
  heed(event: JournalEvent | undefined): void {
    if (event !== undefined && event.type !== 'push') return;
    const isOver = event?.push.change === 'cancelled' && event.push.id === this.#run?.push;
    // Another may go first, so that no more is begun before the control plane was asked.
    if (isOver) this.#run?.abort();
    else this.#run?.interrupt();
    this.#ask();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#run?.abort();
    this.#ask();
    await this.#running;
  }

  sample(samples: Samples): void {
    const current = this.#run?.report().counts ?? NO_COUNTS;
    const { placed, fetched, elsewhere, failed, bytes } = addCounts(this.#totals, current);
    const byResult = { fetched, present: placed - fetched, elsewhere, failed };
    for (const [result, count] of Object.entries(byResult)) {
      samples.add('canopy_push_objects_total', count, result);
    }
    samples.add('canopy_push_bytes_total', bytes);
  }

  #ask(): void {
    this.#wanted = true;
    this.#wake?.();
  }

  async #loop(): Promise<void> {
    let backoffMs = SHORTEST_BACKOFF_MS;
    while (!this.#stopped) {
      this.#wanted = false;
      try {
        const { work } = await this.#post({ report: this.#unsaid, idle: true });
        this.#unsaid = undefined;
        backoffMs = SHORTEST_BACKOFF_MS;
        if (work === null) await this.#sleep(undefined);
        else await this.#do(work);
      } catch (error) {
        this.#options.log.debug(`Could not ask for pushes: ${messageOf(error)}`);
        // Jitter, so that a thousand nodes do not come back in one instant.
        await this.#sleep(backoffMs * (0.5 + Math.random() / 2));
        backoffMs = Math.min(backoffMs * 2, LONGEST_BACKOFF_MS);
      }
    }
  }

  async #do(work: PushWork): Promise<void> {
    const { place, clock } = this.#options;
    const run = new PushRun(work, place, clock);
    this.#run = run;
    // Heeded before there was a run to interrupt.
    if (this.#wanted) run.interrupt();
    const stopReporting = this.#reportNowAndThen(run);
    await run.run();
    stopReporting();
    this.#run = undefined;
    this.#totals = addCounts(this.#totals, run.report().counts);
    if (!run.isAborted) this.#unsaid = run.report();
  }

  #reportNowAndThen(run: PushRun): Cancel {
    const { clock, log } = this.#options;
    let cancel: Cancel | undefined;
    let ended = false;
    const later = (): void => {
      if (!ended) cancel = clock.after(REPORT_MS, report);
    };
    const report = (): void => {
      this.#post({ report: run.report(), idle: false })
        .then(({ goesOn }) => {
          if (!goesOn) run.abort();
        })
        .catch((error: unknown) => log.debug(`Could not report on a push: ${messageOf(error)}`))
        .finally(later);
    };
    later();
    return () => {
      ended = true;
      cancel?.();
    };
  }

  async #post({ report, idle }: { report: PushReport | undefined; idle: boolean }) {
    const answer = await this.#options.post({ ...(report && { report }), idle });
    return validate(pushAnswerSchema, answer, 'answer on pushes') satisfies PushAnswer;
  }

  /** Until there may be work, or `ms` have passed. */
  async #sleep(ms: number | undefined): Promise<void> {
    if (this.#stopped || (this.#wanted && ms === undefined)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = ms === undefined ? undefined : this.#options.clock.after(ms, resolve);
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
    cancel?.();
  }
}
