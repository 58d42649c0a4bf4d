import type { Tone } from '../ui/badge.tsx';

/** What `GET /v1/nodes` says of each. */
export interface NodeStatus {
  readonly name: string;
  readonly tier: string;
  readonly location: {
    readonly name: string;
    readonly latitude: number;
    readonly longitude: number;
  };
  readonly draining: boolean;
  readonly inService: boolean;
  readonly fence: number;
  readonly lastHeartbeat: {
    readonly at: number;
    readonly version: string;
    readonly load: {
      readonly requests: number;
      readonly objects: number;
      readonly storedBytes: number;
    };
  } | null;
}

export function stateOf({
  draining,
  inService,
  lastHeartbeat,
}: NodeStatus): readonly [Tone, string] {
  if (lastHeartbeat === null) return ['plain', 'unseen'];
  if (!inService) return ['bad', 'lease ended'];
  return draining ? ['warn', 'draining'] : ['good', 'in service'];
}
