import type { NodeExplanation } from '#core/contract/explain.ts';
import { partText } from './near-keys.ts';

/** Characters of one tier's line; with four tiers it stays well within what clients take of a header section. */
const MAX_LENGTH = 2048;

/** What a line leaves out to be short enough, in this order. */
const DISPENSABLE = ['hints', 'near', 'parents', 'stored', 'rules', 'key', 'because'] as const;

const seconds = (ms: number): number => Math.round(ms / 100) / 10;

/**
 * A node's explanation as a field value: JSON on one line, in ASCII.
 * @param slot the thread that serves the request, which may do otherwise than the object's home
 */
export function explanationLine(explanation: NodeExplanation, slot: number | undefined): string {
  const { node, tier, verdict, reason, because, fence, threads, fill } = explanation;
  const { key, stored, parents, near, rules, hints } = explanation;
  const own = threads.find((thread) => thread.slot === slot);
  const line: Record<string, unknown> = {
    node,
    tier,
    verdict,
    reason,
    because,
    ...(own !== undefined && own.reason !== reason && { thread: `${own.slot}: ${own.reason}` }),
    fence,
    ...(key !== null && { key: key.text }),
    ...(stored.length > 0 && {
      stored: stored.map(({ suits, status, freshness }) => ({
        suits,
        status,
        source: freshness.source,
        leftSeconds: seconds(freshness.leftMs),
      })),
    }),
    ...(fill !== null && { fill: `${seconds(fill.ageMs)} s, ${fill.waiters} waiting` }),
    ...(rules.length > 0 && {
      rules: rules.filter(({ matches }) => matches).map(({ name }) => name),
    }),
    ...(parents.asks && { parents: parents.order.map(({ name }) => name) }),
    ...(near !== null && {
      near: near.keys.map((one) => ({
        key: one.key,
        differs: one.differences.map((difference) => partText(difference)),
      })),
    }),
    ...(hints.length > 0 && { hints: hints.map(({ text }) => text) }),
  };
  for (const name of DISPENSABLE) {
    const text = asciiJson(line);
    if (text.length <= MAX_LENGTH) return text;
    delete line[name];
    line['shortened'] = true;
  }
  return asciiJson(line);
}

/** RFC 9110 §5.5: field values are ASCII. JSON has an escape for all the rest. */
const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
