import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Clock } from '#core/clock.ts';
import { messageOf } from '#core/errors.ts';
import type { CheckerOptions } from './checker.ts';
import {
  type AnnounceRules,
  failed,
  heard,
  initial,
  left,
  type Standing,
  ticked,
  type Verdict,
} from './decision.ts';
import type { Outlet } from './outlet.ts';

const CHECKER = fileURLToPath(new URL('./checker.ts', import.meta.url));

export interface AnnouncerOptions {
  readonly rules: AnnounceRules;
  readonly checker: CheckerOptions;
  readonly outlet: Outlet;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Has the route announced while the process that checks finds the edge well. */
export class Announcer {
  readonly #options: AnnouncerOptions;
  #standing: Standing;
  /** What the outlet has agreed to; `undefined`: nobody knows. */
  #applied: boolean | undefined;
  #applying: Promise<void> | undefined;
  #checker: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopping = false;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
    this.#standing = initial(options.clock.monotonicMs());
  }

  /** Withdraws what an earlier process may have left, then begins to check. */
  start(): void {
    const { rules, checker, clock } = this.#options;
    this.#apply();
    this.#startChecker();
    this.#timer = setInterval(() => {
      this.#stand(ticked(this.#standing, clock.monotonicMs(), rules));
      if (this.#checker === undefined) this.#startChecker();
      // What was refused is tried again.
      this.#apply();
    }, checker.intervalMs);
  }

  /** Withdraws, and resolves once that is agreed to or cannot be. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#timer);
    this.#stand(left(this.#standing, 'stopping', this.#options.clock.monotonicMs()));
    await this.#applying;
    this.#apply();
    await this.#applying;
    this.#checker?.kill('SIGKILL');
  }

  #startChecker(): void {
    const { checker, clock, rules, log } = this.#options;
    // What the parent writes to its standard output are commands.
    const child = fork(CHECKER, [JSON.stringify(checker)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#checker = child;
    log.info({ checker: child.pid }, 'Checks begin');
    child.on('message', (verdict) => {
      if (this.#stopping) return;
      this.#stand(heard(this.#standing, verdict as Verdict, clock.monotonicMs(), rules));
    });
    child.on('error', (error) => log.error(`The checker fails: ${messageOf(error)}`));
    child.once('close', (code, signal) => {
      this.#checker = undefined;
      if (this.#stopping) return;
      log.error({ code, signal }, 'The checker has died');
      this.#stand(failed(this.#standing, 'checker-died', clock.monotonicMs(), rules));
    });
  }

  #stand(next: Standing): void {
    const before = this.#standing;
    this.#standing = next;
    const { announced, reason } = next;
    if (before.announced !== announced || before.reason !== reason) {
      this.#options.log.info({ announced, reason }, announced ? 'Announced' : 'Not announced');
    }
    this.#apply();
  }

  /** Has the outlet do what is decided, one change at a time. */
  #apply(): void {
    const { announced } = this.#standing;
    if (this.#applying !== undefined || this.#applied === announced) return;
    this.#applied = undefined;
    this.#applying = this.#options.outlet
      .set(announced)
      .then(
        () => {
          this.#applied = announced;
        },
        (error: unknown) => this.#options.log.error(messageOf(error)),
      )
      .finally(() => {
        this.#applying = undefined;
        // Decided anew meanwhile; what failed waits for the next check.
        if (this.#applied !== undefined) this.#apply();
      });
  }
}
