import { ORIGIN_FIELD } from '#core/cache/policy/keying.ts';

/**
 * The request and response fields that nodes of one network speak among themselves. From clients
 * and from customers' servers they are removed.
 */
export const TIER_FIELDS = {
  /** Request: proves that a node of this network asks. */
  key: 'Canopy-Tier-Key',
  /** Request: the name of the site. */
  site: 'Canopy-Site',
  /** Request: the names of what selects an object under its URL beside `Vary`, as `Keying.inputs` has them. */
  keyedBy: 'Canopy-Keyed-By',
  /** Request: the one of the site's `origins` that is to be asked; left out: its main one. */
  origin: ORIGIN_FIELD,
  /** Request: the asking node's fence. Response: the fence up to which the content has heeded every purge. */
  fence: 'Canopy-Fence',
  /** Request: present where the asking node knows the object to have changed, so that a stored one has to be validated. */
  changed: 'Canopy-Changed',
  /** Request: present where no parent has answered the asking node, so that what is held here will do, stale where that may stand in; nobody is to be asked for it. */
  held: 'Canopy-Held',
  /** Request of the control plane to an origin: when its publisher wrote, ms since the Unix epoch; the same at all replicas. */
  writtenAt: 'Canopy-Written-At',
  /** Response: this answer is the parent's own failure, by its error code; the walk goes on. */
  error: 'Canopy-Error',
} as const;

/** Whether a lower-case field name is reserved for traffic between tiers. */
export const isTierField = (name: string): boolean => name.startsWith('canopy-');
