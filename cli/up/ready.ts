import { request } from 'undici';
import { type Clock, delay } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { NodeStatus } from '../api-types.ts';

export interface ExpectedNode {
  readonly name: string;
  readonly pid: number;
}

const POLL_MS = 50;
const LIMIT_MS = 30_000;

/**
 * Which of `expected` have not sent a heartbeat since they started, or have not acknowledged
 * the journal up to `sequence`; each with the reason.
 */
export function laggards(
  expected: readonly ExpectedNode[],
  statuses: readonly NodeStatus[],
  sequence: number,
): readonly string[] {
  const byName = new Map(statuses.map((status) => [status.name, status]));
  return expected.flatMap(({ name, pid }) => {
    const status = byName.get(name);
    if (status === undefined) return [`${name} is unknown to the control plane`];
    if (status.lastHeartbeat?.pid !== pid) return [`${name} has sent no heartbeat`];
    if (status.fence < sequence) return [`${name} is at ${status.fence} of ${sequence}`];
    return [];
  });
}

/**
 * Resolves once every node is up to date and each edge answers.
 * @throws CanopyError `unavailable` when one ends, or naming what is missing after 30 s
 */
export async function waitUntilServing(
  network: {
    readonly nodes: readonly ExpectedNode[];
    readonly edgeUrls: readonly string[];
    readonly sequence: number;
    readonly statuses: () => Promise<readonly NodeStatus[]>;
    readonly isRunning: (name: string) => boolean;
  },
  clock: Clock,
): Promise<void> {
  const endMs = clock.monotonicMs() + LIMIT_MS;
  for (;;) {
    const ended = network.nodes.find(({ name }) => !network.isRunning(name));
    if (ended !== undefined) throw new CanopyError('unavailable', `${ended.name} has ended`);
    const missing = laggards(network.nodes, await network.statuses(), network.sequence);
    if (missing.length === 0) break;
    if (clock.monotonicMs() > endMs) throw new CanopyError('unavailable', missing.join('; '));
    await delay(clock, POLL_MS);
  }
  await Promise.all(network.edgeUrls.map(requireAnswer));
}

async function requireAnswer(url: string): Promise<void> {
  try {
    // An edge refuses TRACE itself: nothing is asked of its parents, nothing stored.
    const { body } = await request(url, {
      method: 'TRACE',
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    await body.dump();
  } catch (cause) {
    throw new CanopyError('unavailable', `${url} does not answer: ${messageOf(cause)}`, { cause });
  }
}
