/** What is wrong with a process. */
export type HealthReason =
  /** It does not serve yet: it waits for its configuration. */
  | 'starting'
  /** It finishes what is under way and takes nothing new. */
  | 'stopping'
  /** The operator has it asked nothing new. */
  | 'draining'
  /** It has reached one of its limits. */
  | 'overloaded'
  /** It does not follow the journal, and serves by what it knows. */
  | 'control-plane-lost'
  /** Purges may have been missed; each site says what is done then. */
  | 'lease-ended'
  /** A serving thread has not been heard of for 5 seconds. */
  | 'thread-silent'
  /** The disk store takes nothing for now, or cannot be used; memory does. */
  | 'disk-failing'
  /** It goes by an older version of some sites, for it cannot apply the one in the journal. */
  | 'config-refused'
  /** The control plane cannot read its state. */
  | 'state-unavailable';

export interface Health {
  readonly status: 'ok' | 'degraded';
  /** Whether it takes requests. */
  readonly serves: boolean;
  readonly reasons: readonly HealthReason[];
}

/** Reasons for which nobody should be sent there. */
const NOT_SERVING: ReadonlySet<HealthReason> = new Set([
  'starting',
  'stopping',
  'draining',
  'state-unavailable',
]);

/** @param findings whether each thing is wrong */
export function healthOf(findings: Partial<Readonly<Record<HealthReason, boolean>>>): Health {
  const reasons = (Object.keys(findings) as HealthReason[]).filter((reason) => findings[reason]);
  return {
    status: reasons.length === 0 ? 'ok' : 'degraded',
    serves: !reasons.some((reason) => NOT_SERVING.has(reason)),
    reasons,
  };
}
