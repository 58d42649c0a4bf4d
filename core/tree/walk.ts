import type { Clock } from '#core/clock.ts';
import type { UpstreamSettings } from '#core/contract/site.ts';
import { CanopyError, type ErrorCode, ERRORS } from '#core/errors.ts';
import { fieldValue } from '#core/http/fields.ts';
import { type Attempt, AttemptFailed, type Connections, type UpstreamResponse } from './attempt.ts';
import { BulkheadFull, type Bulkheads } from './bulkheads.ts';
import type { Choice } from './choice.ts';
import type { ParentHealth } from './health.ts';
import { hedged, Outpaced } from './hedge.ts';
import type { Parent } from './parents.ts';
import type { Probes } from './probes.ts';
import type { Replay } from './replay.ts';
import type { RetryBudget } from './retry-budget.ts';
import { TIER_FIELDS } from './tier-fields.ts';
import { type Failure, type Onward, onward, type Try, type TryReason } from './tries.ts';

/** What all walks of a thread share. */
export interface WalkHost {
  readonly clock: Clock;
  readonly connections: Connections;
  readonly health: ParentHealth;
  readonly probes: Probes;
  readonly bulkheads: Bulkheads;
  /** @param how it ended, an answer by its status */
  readonly onTry: (
    parent: string,
    how: Exclude<TryReason, 'answered'> | 'abandoned' | number,
  ) => void;
}

/** One request on its way up. */
export interface Errand {
  /** Its name. */
  readonly site: string;
  /** The cache key. */
  readonly key: string;
  readonly settings: UpstreamSettings;
  readonly budget: RetryBudget;
  /** Whether it may be sent again after a parent has seen it, RFC 9110 §9.2.2. */
  readonly idempotent: boolean;
  readonly content: Replay | undefined;
  readonly signal: AbortSignal | undefined;
  /** For all tries together, to a header section. */
  readonly totalMs: number;
  readonly message: (
    parent: Parent,
  ) => Pick<Attempt, 'method' | 'target' | 'fields' | 'upgrade' | 'expectsContinue' | 'onInterim'>;
}

/** A try that brought no answer to pass on. */
interface Failed {
  readonly error: CanopyError;
  readonly connectionLost: boolean;
  readonly neverSent: boolean;
  /** What is passed on all the same where nobody else can be asked. */
  readonly held: UpstreamResponse | undefined;
}

type Outcome = UpstreamResponse | Failed;

const isAnswer = (outcome: Outcome): outcome is UpstreamResponse => 'status' in outcome;

/** No parent answered; what was tried goes along. */
export class Exhausted extends CanopyError {
  readonly tries: readonly Try[];

  constructor(code: ErrorCode, detail: string, tries: readonly Try[], cause: unknown) {
    super(code, detail, { cause });
    this.tries = tries;
  }
}

/** Whom it took to come to `error`. */
export const triesOf = (error: unknown): readonly Try[] | undefined =>
  error instanceof Exhausted ? error.tries : undefined;

/** Asks one parent after the other until one answers. */
export class Walk {
  readonly #host: WalkHost;
  readonly #errand: Errand;
  /** Those still to be asked. */
  #choices: readonly Choice[];
  readonly #tries: Try[] = [];
  readonly #errors: CanopyError[] = [];
  readonly #deadlineMs: number;

  /** @param choices in the order to try them */
  constructor(host: WalkHost, errand: Errand, choices: readonly Choice[]) {
    this.#host = host;
    this.#errand = errand;
    this.#choices = choices;
    this.#deadlineMs = host.clock.monotonicMs() + errand.totalMs;
  }

  /** @throws Exhausted; CanopyError `invalid-request`; the reason of the errand's signal */
  async run(): Promise<UpstreamResponse> {
    const { budget, content } = this.#errand;
    budget.request(this.#host.clock.monotonicMs());
    try {
      for (let parent = this.#next(); parent !== undefined; parent = this.#next()) {
        const outcome = await this.#ask(parent);
        const isLast = !isAnswer(outcome) && !this.#mayGoOn(outcome);
        const answer = isAnswer(outcome) ? outcome : isLast ? outcome.held : undefined;
        if (answer !== undefined) return { ...answer, tries: this.#tries };
        if (isLast) break;
        if (!isAnswer(outcome)) outcome.held?.discard();
      }
    } finally {
      content?.last();
    }
    throw this.#exhausted();
  }

  /** The first that is still believed in: others may have learnt more since the order was made. */
  #next(): Parent | undefined {
    const { idempotent } = this.#errand;
    const isWell = ({ parent }: Choice): boolean => {
      const { standing } = this.#host.health.condition(parent.name);
      return standing === 'closed' || (standing === 'half-open' && idempotent);
    };
    const choice = this.#choices.find(isWell) ?? this.#choices[0];
    this.#choices = this.#choices.filter((other) => other !== choice);
    return choice?.parent;
  }

  #mayGoOn({ neverSent }: Failed): boolean {
    const { clock } = this.#host;
    if (this.#choices.length === 0 || clock.monotonicMs() >= this.#deadlineMs) return false;
    const { content } = this.#errand;
    return neverSent ? content?.isWhole !== false : this.#mayRepeat();
  }

  /** Whether the request may be sent once more, which is then taken from the budget. */
  #mayRepeat(): boolean {
    const { idempotent, content, budget, settings } = this.#errand;
    if (!idempotent || content?.isWhole === false) return false;
    return budget.take(settings, this.#host.clock.monotonicMs());
  }

  /** One parent, or two where the first is slow. */
  #ask(parent: Parent): Promise<Outcome> {
    const { clock, health } = this.#host;
    const delayMs = this.#isHedgeable(parent) ? health.p95Ms(parent.name) : undefined;
    if (delayMs === undefined) return this.#tryTwice(parent, undefined);
    return hedged<Outcome>({
      clock,
      delayMs,
      first: (lost) => this.#tryTwice(parent, lost),
      second: () => {
        const other = this.#isHedgeable(parent) && this.#mayRepeat() ? this.#next() : undefined;
        return other && ((lost) => this.#try(other, lost));
      },
      isGood: isAnswer,
      discard: (outcome) => (isAnswer(outcome) ? outcome : outcome.held)?.discard(),
    });
  }

  /** An origin is not asked in place of a mid-tier that is only slow. */
  #isHedgeable({ tier }: Parent): boolean {
    const { idempotent, content, settings } = this.#errand;
    const [second] = this.#choices;
    const hasPeer = second?.parent.tier === tier && second.place !== 'open';
    return settings.hedge && idempotent && content === undefined && hasPeer;
  }

  /** An idle connection may have been closed just as the request was written to it. */
  async #tryTwice(parent: Parent, lost: AbortSignal | undefined): Promise<Outcome> {
    const outcome = await this.#try(parent, lost);
    const again = !isAnswer(outcome) && outcome.connectionLost && this.#mayRepeat();
    return again ? this.#try(parent, lost) : outcome;
  }

  async #try(parent: Parent, lost: AbortSignal | undefined): Promise<Outcome> {
    const { clock, health, probes, bulkheads, connections } = this.#host;
    const { site, key, settings, content, idempotent } = this.#errand;
    const signal = either(this.#errand.signal, lost);
    const endTrial = health.begins(parent.name);
    const beganAtMs = clock.monotonicMs();
    let startedAtMs = beganAtMs;
    const limits = { ...settings, waitMs: settings.connectTimeoutMs };
    let leave: (() => void) | undefined;
    try {
      leave = await bulkheads.enter(parent.name, site, limits, signal);
      startedAtMs = clock.monotonicMs();
      const response = await connections.send({
        ...this.#errand.message(parent),
        parent,
        content: content?.read(),
        settings,
        firstByteMs: this.#firstByteMs(parent, startedAtMs),
        signal,
        watch: probes.of(parent),
        onDown: idempotent ? (callback) => health.onDown(parent.name, callback) : undefined,
        onEnd: (end) => {
          leave?.();
          if (end === 'complete') health.completed(parent.name);
          else if (end !== 'given-up') health.failed(parent.name, end, key, startedAtMs);
        },
      });
      health.answered(parent.name, startedAtMs);
      return this.#judged(response, beganAtMs, startedAtMs);
    } catch (error) {
      leave?.();
      const failed =
        error instanceof BulkheadFull ? new AttemptFailed(parent, 'busy', error) : error;
      if (lost?.aborted && !this.#errand.signal?.aborted) {
        this.#note(parent, 'outpaced', beganAtMs);
        return { error: OUTPACED, connectionLost: false, neverSent: false, held: undefined };
      }
      if (!(failed instanceof AttemptFailed)) {
        this.#host.onTry(parent.name, 'abandoned');
        throw error;
      }
      const { failure, connectionLost, neverSent } = failed;
      health.failed(parent.name, failure, key, startedAtMs);
      this.#fail(parent, failure, onward(failure), failed, beganAtMs);
      return { error: failed, connectionLost, neverSent, held: undefined };
    } finally {
      endTrial();
    }
  }

  /** A mid-tier is given the time to try two origin servers. */
  #firstByteMs({ tier }: Parent, now: number): number {
    const { settings, idempotent } = this.#errand;
    const ofParent = settings.firstByteTimeoutMs * (tier === 'mid-tier' ? 2 : 1);
    return idempotent ? Math.max(1, Math.min(ofParent, this.#deadlineMs - now)) : ofParent;
  }

  /** Whether what came is an answer to the request. */
  #judged(response: UpstreamResponse, beganAtMs: number, startedAtMs: number): Outcome {
    const { health } = this.#host;
    const { settings, idempotent, key } = this.#errand;
    const { parent, status } = response;
    const own = ownFailure(response);
    if (own !== undefined) {
      response.discard();
      // Not of the origin's making, so of the node's.
      const failure = own.side === 'upstream' || own.retrySafe ? 'failed' : 'status';
      health.failed(parent.name, failure, key, startedAtMs);
      this.#fail(parent, failure, onward(failure, own.code), own, beganAtMs);
      return { error: own, connectionLost: false, neverSent: false, held: undefined };
    }
    if (parent.tier === 'customer' && settings.failureStatuses.includes(status)) {
      health.failed(parent.name, 'status', key, startedAtMs);
      if (idempotent) {
        const error = new CanopyError('upstream-unreachable', `${parent.name}: status ${status}`);
        this.#fail(parent, 'status', onward('status'), error, beganAtMs);
        return { error, connectionLost: false, neverSent: false, held: response };
      }
    }
    this.#note(parent, 'answered', beganAtMs, status);
    return response;
  }

  #fail(
    parent: Parent,
    failure: Failure,
    next: Onward,
    error: CanopyError,
    beganAtMs: number,
  ): void {
    this.#note(parent, failure, beganAtMs);
    this.#errors.push(error);
    const isAsked = TO_ASK[next];
    this.#choices = this.#choices.filter((choice) => isAsked(choice.parent, parent));
  }

  #note({ name }: Parent, reason: 'answered', beganAtMs: number, status: number): void;
  #note({ name }: Parent, reason: Exclude<TryReason, 'answered'>, beganAtMs: number): void;
  #note({ name }: Parent, reason: TryReason, beganAtMs: number, status = 0): void {
    const ms = Math.round(this.#host.clock.monotonicMs() - beganAtMs);
    this.#tries.push({ parent: name, reason, ms });
    this.#host.onTry(name, reason === 'answered' ? status : reason);
  }

  #exhausted(): Exhausted {
    const { site } = this.#errand;
    const codes = new Set(this.#errors.map(({ code }) => code));
    const [first = 'upstream-unreachable'] = codes;
    const mixed = codes.has('upstream-busy') ? 'upstream-busy' : 'upstream-unreachable';
    const tried = this.#errors.map(({ message }) => message).join('; ');
    const detail =
      tried === '' ? `Site ${site} has no parent to ask` : `No parent answered: ${tried}`;
    const code = codes.size === 1 ? first : mixed;
    return new Exhausted(code, detail, this.#tries, this.#errors.at(-1));
  }
}

const TO_ASK: Readonly<Record<Onward, (parent: Parent, failed: Parent) => boolean>> = {
  anyone: () => true,
  origins: ({ tier }) => tier !== 'mid-tier',
  peers: ({ tier }, failed) => tier === failed.tier,
  nobody: () => false,
};

const OUTPACED = new CanopyError('upstream-timeout', new Outpaced().message);

function either(a: AbortSignal | undefined, b: AbortSignal | undefined): AbortSignal | undefined {
  return a === undefined || b === undefined ? (a ?? b) : AbortSignal.any([a, b]);
}

/** A parent's own failure, which is no answer to the request. */
function ownFailure({ parent, fields }: UpstreamResponse): CanopyError | undefined {
  if (parent.tier === 'customer') return undefined;
  const code = fieldValue(fields, TIER_FIELDS.error.toLowerCase());
  if (code === undefined) return undefined;
  const known = code in ERRORS ? (code as ErrorCode) : 'upstream-invalid';
  return new CanopyError(known, `${parent.name}: ${code}`);
}
