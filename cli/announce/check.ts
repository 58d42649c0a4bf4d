import { parseList } from 'structured-headers';
import { type Agent, request } from 'undici';
import { z } from 'zod';
import { messageOf } from '#core/errors.ts';
import type { Verdict } from './decision.ts';

export interface CheckOptions {
  /** The edge's admin listener. */
  readonly adminUrl: string;
  /** The edge's own listener, whatever address the object's host has. */
  readonly edgeUrl: string;
  /** What it has to serve from its cache. */
  readonly objectUrl: string;
  readonly timeoutMs: number;
}

const healthSchema = z.object({ reasons: z.array(z.string()) });

/** What `/healthz` says of an edge that is leaving in order. */
const LEAVING: ReadonlySet<string> = new Set(['draining', 'stopping']);
/** Reasons of `/healthz` for which no clients should come, though it may answer 200. */
const UNWELL: ReadonlySet<string> = new Set([
  'starting',
  'thread-silent',
  'disk-failing',
  'overloaded',
]);

/** What the edge says of itself. */
export function verdictOfHealth(reasons: readonly string[]): Verdict {
  const leaving = reasons.find((reason) => LEAVING.has(reason));
  if (leaving !== undefined) return { kind: 'leaving', reason: leaving };
  const unwell = reasons.find((reason) => UNWELL.has(reason));
  return unwell === undefined ? { kind: 'well' } : { kind: 'unwell', reason: unwell };
}

/**
 * What its answer for the object says.
 * @param cacheStatus one entry per tier, the edge's last (RFC 9211 §2)
 */
export function verdictOfObject(status: number, cacheStatus: string): Verdict {
  if (status !== 200) return { kind: 'unwell', reason: `object-status-${status}` };
  return isHit(cacheStatus) ? { kind: 'well' } : { kind: 'unwell', reason: 'object-not-hit' };
}

function isHit(cacheStatus: string): boolean {
  try {
    return parseList(cacheStatus).at(-1)?.[1].get('hit') === true;
  } catch {
    return false;
  }
}

/** Asks the edge how it is, then has it serve a hit. Never throws. */
export async function check(options: CheckOptions, dispatcher: Agent): Promise<Verdict> {
  const signal = AbortSignal.timeout(options.timeoutMs);
  try {
    const health = await request(new URL('/healthz', options.adminUrl), { dispatcher, signal });
    const { reasons } = healthSchema.parse(await health.body.json());
    const verdict = verdictOfHealth(reasons);
    if (verdict.kind !== 'well') return verdict;
  } catch (error) {
    return { kind: 'unwell', reason: `health-unknown: ${messageOf(error)}` };
  }
  try {
    const verdict = await serves(options, dispatcher, signal);
    // Purged or expired: it has been fetched now.
    return verdict.kind === 'well' ? verdict : await serves(options, dispatcher, signal);
  } catch (error) {
    return { kind: 'unwell', reason: `object-not-served: ${messageOf(error)}` };
  }
}

async function serves(
  { objectUrl, edgeUrl }: CheckOptions,
  dispatcher: Agent,
  signal: AbortSignal,
): Promise<Verdict> {
  const { host, pathname, search } = new URL(objectUrl);
  const url = new URL(`${pathname}${search}`, edgeUrl);
  const { statusCode, headers, body } = await request(url, {
    dispatcher,
    signal,
    headers: { host },
  });
  // Part of serving it is that all of it comes.
  await body.dump({ limit: Infinity, signal });
  return verdictOfObject(statusCode, [headers['cache-status'] ?? ''].flat().join(', '));
}
