/** What one check has found. */
export type Verdict =
  | { readonly kind: 'well' }
  /** It fails: one failure alone may be chance. */
  | { readonly kind: 'unwell'; readonly reason: string }
  /** It is leaving and says so: there is nothing to wait for. */
  | { readonly kind: 'leaving'; readonly reason: string };

export interface AnnounceRules {
  /** Good checks in a row before the route is announced. */
  readonly rise: number;
  /** Bad checks in a row before it is withdrawn. */
  readonly fall: number;
  /** After a failure it is announced again no sooner; doubled each time that it soon fails again. */
  readonly holdDownMs: number;
  /** Who checks has been silent for longer: whether the edge is well, nobody knows. */
  readonly silentMs: number;
}

/** What is announced, and what the next decision goes by. Times are `Clock.monotonicMs`. */
export interface Standing {
  readonly announced: boolean;
  /** Why it is announced or not. */
  readonly reason: string;
  /** Checks in a row, up to now, that speak against `announced`. */
  readonly contrary: number;
  /** When `announced` last changed. */
  readonly sinceMs: number;
  /** When the last check was heard of. */
  readonly heardAtMs: number;
  readonly heldUntilMs: number;
  /** Failures that each came soon after the route was announced. */
  readonly flaps: number;
}

/** An announcement that lasts for so many hold-downs is no flap. */
const SETTLED_HOLD_DOWNS = 10;
/** The hold-down grows to sixteen times its length. */
const MAX_DOUBLINGS = 4;

/** Nothing is announced before the edge has shown that it is well. */
export const initial = (now: number): Standing => ({
  announced: false,
  reason: 'starting',
  contrary: 0,
  sinceMs: now,
  heardAtMs: now,
  heldUntilMs: now,
  flaps: 0,
});

/** The standing once a check has ended at `now`. */
export function heard(
  before: Standing,
  verdict: Verdict,
  now: number,
  rules: AnnounceRules,
): Standing {
  const standing = { ...before, heardAtMs: now };
  if (verdict.kind === 'leaving') return left(standing, verdict.reason, now);
  if ((verdict.kind === 'well') === standing.announced) {
    return { ...standing, contrary: 0, reason: verdict.kind === 'well' ? 'well' : verdict.reason };
  }
  const contrary = standing.contrary + 1;
  if (verdict.kind === 'unwell') {
    const hasFailed = contrary >= rules.fall;
    return hasFailed ? failed(standing, verdict.reason, now, rules) : { ...standing, contrary };
  }
  if (contrary < rules.rise) return { ...standing, contrary, reason: 'rising' };
  if (now < standing.heldUntilMs) return { ...standing, contrary, reason: 'held-down' };
  return { ...standing, announced: true, reason: 'well', contrary: 0, sinceMs: now };
}

/** The standing at `now` if nothing was heard: who is silent for too long counts as failed. */
export function ticked(before: Standing, now: number, rules: AnnounceRules): Standing {
  if (!before.announced || now - before.heardAtMs <= rules.silentMs) return before;
  return failed(before, 'checker-silent', now, rules);
}

/** Withdraws at once and holds the route down. */
export function failed(
  before: Standing,
  reason: string,
  now: number,
  { holdDownMs }: AnnounceRules,
): Standing {
  if (!before.announced) return left(before, reason, now);
  const isFlap = now - before.sinceMs < SETTLED_HOLD_DOWNS * holdDownMs;
  const flaps = isFlap ? before.flaps + 1 : 0;
  const heldUntilMs = now + holdDownMs * 2 ** Math.min(Math.max(0, flaps - 1), MAX_DOUBLINGS);
  return { ...left(before, reason, now), heldUntilMs, flaps };
}

/** Withdraws at once; it may come back as soon as it has risen. */
export function left(before: Standing, reason: string, now: number): Standing {
  const sinceMs = before.announced ? now : before.sinceMs;
  return { ...before, announced: false, reason, contrary: 0, sinceMs };
}
