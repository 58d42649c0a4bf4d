import type { ServedSite } from '#core/cache/served-site.ts';
import type { Clock } from '#core/clock.ts';
import { CanopyError, Refusal } from '#core/errors.ts';
import { type Guarding, limitMemory } from '#core/limits/limit-memory.ts';
import { Marks } from '#core/limits/marks.ts';
import { SlidingWindows } from '#core/limits/sliding-windows.ts';
import { UnderWay } from '#core/limits/under-way.ts';
import type { RequestActions } from '#core/rules/actions.ts';
import type { RequestFacts } from '#core/rules/facts.ts';
import type { MayEmbed } from '#core/rules/guards/hotlink.ts';
import type { ConcurrencyLimiter, LookupLimiter, RateLimiter } from '#core/rules/guards/limits.ts';
import type { Exchange } from '#core/serving/exchange.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import { Admission, type Guarded } from './admission.ts';
import { Rates } from './rates.ts';
import { Tokens } from './tokens.ts';

export interface GuardsOptions {
  readonly clock: Clock;
  /** Left out: of one thread alone, without a Redis. */
  readonly guarding?: Guarding | undefined;
}

/** Of a client that comes back when one of its requests has ended. */
const SOON_SECONDS = 1;
/** A second look for the same thing within the window is no other thing. */
const ONCE = 1;

/** How one guard would fare; `null`: that cannot be told without trying. */
export interface Foreseen {
  readonly guard: string;
  readonly admits: boolean | null;
  readonly why: string;
  /** With which it would refuse. */
  readonly error?: CanopyError;
}

/** What refuses requests in one thread of an edge, by the rules that match them. */
export class Guards {
  readonly #clock: Clock;
  readonly #rates: Rates;
  readonly #missing: SlidingWindows;
  readonly #refused: Marks;
  readonly #underWay: UnderWay;
  readonly #tokens: Tokens;

  constructor({ clock, guarding }: GuardsOptions) {
    const { memory, slot, redisUrl } = guarding ?? ALONE();
    this.#clock = clock;
    this.#refused = new Marks(memory.refused);
    this.#rates = new Rates({ clock, memory: memory.rates, refused: this.#refused, redisUrl });
    this.#missing = new SlidingWindows(memory.missing);
    this.#underWay = new UnderWay(memory.underWay, slot);
    this.#tokens = new Tokens(clock);
  }

  /**
   * Lets a request in, at once unless a token has to be checked.
   * @returns `undefined` where no rule that matched guards anything
   * @throws CanopyError for what is refused
   */
  admit(
    guarded: Guarded,
    exchange: Pick<Exchange, 'signal'>,
  ): Admission | undefined | Promise<Admission | undefined> {
    const { site, facts, actions } = guarded;
    if (!isGuarded(actions)) return undefined;
    for (const mayEmbed of actions.hotlink) requireEmbedding(mayEmbed, guarded);
    for (const limiter of actions.negativeLookups) this.#requireUnbanned(limiter, guarded);
    const fields = this.#takeRates(guarded, false);
    for (const requirement of actions.requireSignature) {
      requirement.check(facts, site.signingKeys, this.#clock.now());
    }
    const checking = this.#requireTokens(guarded);
    const admitted = (): Admission => {
      const announced = [...fields, ...this.#takeRates(guarded, true)];
      const ends = this.#begin(guarded, exchange);
      return new Admission({
        guarded,
        announced,
        onMissing: () => this.#noteMissing(guarded),
        onEnd: ends,
      });
    };
    return checking === undefined ? admitted() : checking.then(admitted);
  }

  /**
   * Counts a request that one rate limit and no other guard is for.
   * @returns the fields that announce it
   * @throws Refusal where it is refused; then it is not counted
   */
  takeRate(limiter: RateLimiter, facts: RequestFacts, site: ServedSite): readonly string[] {
    return this.#rates.take(limiter, facts, site);
  }

  /** How the guards of a request would fare, in their order. Nothing is counted, and no token is checked. */
  foresee(guarded: Guarded): readonly Foreseen[] {
    const { site, facts, actions } = guarded;
    return [
      ...actions.hotlink.map((mayEmbed) =>
        tried('hotlink', 'the page may embed it', () => requireEmbedding(mayEmbed, guarded)),
      ),
      ...actions.negativeLookups.map((limiter) =>
        tried('negativeLookups', 'it has not looked for too much that is not there', () =>
          this.#requireUnbanned(limiter, guarded),
        ),
      ),
      ...actions.rateLimit.map(({ quota }) =>
        unknown(
          'rateLimit',
          `at most ${quota.requests} requests in ${quota.windowMs / 1000} s; not counted for this question`,
        ),
      ),
      ...actions.requireSignature.map((requirement) =>
        tried('requireSignature', 'the signature holds', () =>
          requirement.check(facts, site.signingKeys, this.#clock.now()),
        ),
      ),
      ...actions.requireToken.map((requirement) =>
        requirement.tokenOf(facts) === undefined
          ? tried('requireToken', '', () => {
              throw new CanopyError('token-missing', 'The request has no token');
            })
          : unknown('requireToken', 'the token is not checked for this question'),
      ),
      ...actions.concurrency.map(({ requests }) =>
        unknown(
          'concurrency',
          `at most ${requests} requests under way; not counted for this question`,
        ),
      ),
    ];
  }

  #takeRates({ site, facts, actions }: Guarded, needsToken: boolean): readonly string[] {
    if (actions.rateLimit.length === 0) return NOTHING;
    return actions.rateLimit
      .filter((limiter) => limiter.needsToken === needsToken)
      .flatMap((limiter) => this.#rates.take(limiter, facts, site));
  }

  #requireTokens({ site, facts, actions }: Guarded): Promise<void> | undefined {
    let before: Promise<void> | undefined;
    for (const requirement of actions.requireToken) {
      const check = (): void | Promise<void> => this.#tokens.require(requirement, facts, site);
      before = before === undefined ? (check() ?? undefined) : before.then(check);
    }
    return before;
  }

  /**
   * Whoever has gone has nothing under way, even if what it asked for is still being fetched.
   * @returns what ends all that has begun
   */
  #begin({ site, facts, actions }: Guarded, exchange: Pick<Exchange, 'signal'>): () => void {
    if (actions.concurrency.length === 0) return NO_END;
    const begun: string[] = [];
    const end = (): void => begun.splice(0).forEach((key) => this.#underWay.end(key));
    for (const limiter of actions.concurrency) {
      const key = keyOf(site, limiter, facts);
      if (this.#underWay.begin(key, limiter.requests, this.#clock.monotonicMs())) begun.push(key);
      else {
        end();
        const detail = `At most ${limiter.requests} requests under way`;
        throw new Refusal('too-many-at-once', detail, ['Retry-After', String(SOON_SECONDS)]);
      }
    }
    exchange.signal.addEventListener('abort', end, { once: true });
    if (exchange.signal.aborted) end();
    return end;
  }

  #requireUnbanned(limiter: LookupLimiter, { site, facts }: Guarded): void {
    const key = keyOf(site, limiter, facts);
    const leftMs = this.#refused.leftMs(key, this.#clock.monotonicMs());
    if (leftMs === 0) return;
    const detail = `At most ${limiter.quota.requests} different things that are not there`;
    const seconds = String(Math.ceil(leftMs / 1000));
    throw new Refusal('too-many-lookups', detail, ['Retry-After', seconds]);
  }

  /** What the request was for is not there, as upstream had to be asked. */
  #noteMissing({ site, facts, actions }: Guarded): void {
    const nowMs = this.#clock.monotonicMs();
    for (const limiter of actions.negativeLookups) {
      const { quota, banMs } = limiter;
      const key = keyOf(site, limiter, facts);
      const { windowMs } = quota;
      const thing = `${key}\n${facts.host}${facts.target}`;
      if (!this.#missing.take(thing, { requests: ONCE, windowMs }, nowMs).isAdmitted) continue;
      if (this.#missing.take(key, quota, nowMs).remaining > 0) continue;
      this.#refused.set(key, banMs, nowMs);
    }
  }

  sample(samples: Samples): void {
    const { forgotten } = this.#rates.windows;
    const others = this.#missing.forgotten + this.#refused.forgotten + this.#underWay.forgotten;
    samples.add('canopy_limits_forgotten_total', forgotten + others);
    samples.add('canopy_network_limits_lost_total', this.#rates.lost);
  }

  close(): void {
    this.#rates.close();
  }
}

function tried(guard: string, admitted: string, check: () => void): Foreseen {
  try {
    check();
    return { guard, admits: true, why: admitted };
  } catch (error) {
    if (!(error instanceof CanopyError)) throw error;
    return { guard, admits: false, why: error.message, error };
  }
}

const unknown = (guard: string, why: string): Foreseen => ({ guard, admits: null, why });

/** @throws CanopyError `hotlink-denied` */
function requireEmbedding(mayEmbed: MayEmbed, { site, facts }: Guarded): void {
  if (mayEmbed(facts, site.isOwnHost)) return;
  throw new CanopyError('hotlink-denied', 'The page that the request comes from is not allowed');
}

const ALONE = (): Guarding => ({ memory: limitMemory(1), slot: 0, redisUrl: undefined });
const NOTHING: readonly string[] = [];
const NO_END = (): void => undefined;

const keyOf = (
  site: ServedSite,
  { id, identify }: ConcurrencyLimiter | LookupLimiter,
  facts: RequestFacts,
): string => `${site.name}\n${id}\n${identify(facts)}`;

const isGuarded = (actions: RequestActions): boolean =>
  actions.hotlink.length > 0 ||
  actions.rateLimit.length > 0 ||
  actions.concurrency.length > 0 ||
  actions.negativeLookups.length > 0 ||
  actions.requireSignature.length > 0 ||
  actions.requireToken.length > 0;
