import type { Clock } from '#core/clock.ts';
import type { ConfigHistory } from '../config/history.ts';
import type { Rollouts } from '../config/rollouts.ts';
import type { ConfigVersions } from '../config/versions.ts';
import type { TierKeyRotation } from '../keys/rotation.ts';
import type { Journal } from '../journal/journal.ts';
import type { NodeLeases } from '../journal/leases.ts';
import type { Purges } from '../purge/purges.ts';
import type { StateStore } from '../state/store.ts';
import type { Access } from './access.ts';
import type { NodeStreams } from './node-streams.ts';

/** What the routes stand on. */
export interface Services {
  readonly access: Access;
  readonly clock: Clock;
  readonly history: ConfigHistory;
  readonly journal: Journal;
  readonly leases: NodeLeases;
  readonly purges: Purges;
  readonly rollouts: Rollouts;
  readonly store: StateStore;
  readonly streams: NodeStreams;
  readonly tierKeyRotation: TierKeyRotation;
  readonly versions: ConfigVersions;
}
