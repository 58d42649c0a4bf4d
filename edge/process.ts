import type { RunningNode } from '#core/node/process.ts';
import { type ServingOptions, startServing } from '#core/serving/process.ts';

/** Runs an edge until it is closed. */
export function startEdge(options: ServingOptions): Promise<RunningNode> {
  return startServing('edge', new URL('./worker.ts', import.meta.url), options);
}
