import type { Clock } from '#core/clock.ts';
import type { ConfigHistory } from '../config/history.ts';
import type { Rollouts } from '../config/rollouts.ts';
import type { ConfigVersions } from '../config/versions.ts';
import type { TierKeyRotation } from '../keys/rotation.ts';
import type { Journal } from '../journal/journal.ts';
import type { LatencyStore } from '../latency/latencies.ts';
import type { NodeLeases } from '../journal/leases.ts';
import type { OrderKeys } from '../order-keys.ts';
import type { Origins } from '../origins.ts';
import type { Purges } from '../purge/purges.ts';
import type { Pushes } from '../push/pushes.ts';
import type { Questions } from '../questions.ts';
import type { Releases } from '../release/releases.ts';
import type { StateStore } from '../state/store.ts';
import type { AuditLog } from '../audit.ts';
import type { Enrolments } from '../enrolments.ts';
import type { Access } from './access.ts';
import type { NodeStreams } from './node-streams.ts';
import type { TokenUse } from './token-use.ts';

/** What the routes stand on. */
export interface Services {
  readonly access: Access;
  readonly audit: AuditLog;
  readonly enrolments: Enrolments;
  readonly clock: Clock;
  readonly history: ConfigHistory;
  readonly journal: Journal;
  readonly latencies: LatencyStore;
  readonly leases: NodeLeases;
  readonly orderKeys: OrderKeys;
  readonly origins: Origins;
  readonly purges: Purges;
  readonly pushes: Pushes;
  readonly questions: Questions;
  readonly releases: Releases;
  readonly rollouts: Rollouts;
  readonly store: StateStore;
  readonly streams: NodeStreams;
  readonly tierKeyRotation: TierKeyRotation;
  readonly tokenUse: TokenUse;
  readonly versions: ConfigVersions;
}
