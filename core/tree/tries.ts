/** Why a parent gave no answer that is passed on. */
export type Failure =
  /** No connection came about. */
  | 'refused'
  /** As many requests as it may be sent are under way, and the line for it is full or slow. */
  | 'busy'
  /** The connection broke before an answer. */
  | 'reset'
  /** No header section in time. */
  | 'timeout'
  /** Given up, because the parent was found to be down while the request waited. */
  | 'down'
  /** What came is not HTTP, or too large. */
  | 'invalid'
  /** A status by which a server says that it is unwell. */
  | 'status'
  /** A node's own failure, which is no answer to the request. */
  | 'failed';

/** How one try at a parent ended; `outpaced`: a second parent, asked as well, was faster. */
export type TryReason = 'answered' | 'outpaced' | Failure;

/** One parent asked on the way to an answer, or to none. */
export interface Try {
  /** A node's name, or a server's URL. */
  readonly parent: string;
  readonly reason: TryReason;
  /** Until the header section, or the failure. */
  readonly ms: number;
}

/** Whom to ask after a failure. */
export type Onward =
  | 'anyone'
  /** The origin itself: what a mid-tier could not get there, another could not either. */
  | 'origins'
  /** Others of the same kind: a tier that is full is not gone around. */
  | 'peers'
  | 'nobody';

const AFTER_NODE_FAILURE: Readonly<Record<string, Onward>> = {
  'upstream-unreachable': 'origins',
  // It has waited for the origin as long as anybody may.
  'upstream-timeout': 'nobody',
  // The origin has as much to do as it may be given.
  'upstream-busy': 'nobody',
};

/** @param code of the failure that a node reports of itself, if that is what happened */
export function onward(failure: Failure, code?: string): Onward {
  if (failure === 'busy') return 'peers';
  if (failure !== 'failed' || code === undefined) return 'anyone';
  return AFTER_NODE_FAILURE[code] ?? 'anyone';
}
