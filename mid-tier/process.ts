import type { RunningNode } from '#core/node/process.ts';
import { type ServingOptions, startServing } from '#core/serving/process.ts';

/** Runs a mid-tier until it is closed. */
export function startMidTier(options: ServingOptions): Promise<RunningNode> {
  return startServing('mid-tier', new URL('./worker.ts', import.meta.url), options);
}
