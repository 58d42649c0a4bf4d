/** What the limits on fills have done in one thread since it started. */
export class FillCounters {
  /** Requests not let in, because as many as allowed waited for the fill already. */
  waitersRefused = 0;
  /** Requests that waited as long as allowed. */
  waitersTimedOut = 0;
  /** Requests given a stale copy, because the parent took too long. */
  staleWhileSlow = 0;
  /** Refreshes not begun, because the site had as many under way as allowed. */
  refreshesSkipped = 0;
  /** Requests given what a purge has made stale, because the site renews as much of it as allowed. */
  refillsLimited = 0;
  /** Bodies not kept, because fills under way hold all the memory meant for them. */
  notKept = 0;
  /** Fetches that another thread of the node answered. */
  fromSiblings = 0;
}
