import type { Explained } from '#core/contract/explain.ts';
import { nearHints } from './hints.ts';
import { mergeNear, nearText } from './near-keys.ts';

/**
 * What the threads of one node say of the same request as the node's word: that of the object's home,
 * which asks the tree for all of them, with what each of the others has.
 * @throws Error where none has answered
 */
export function nodeExplained(byThread: readonly Explained[]): Explained {
  const home = byThread.find(isOfHome) ?? byThread[0];
  if (home === undefined) throw new Error('No thread has answered');
  const { explanation, key, next } = home;
  const threads = byThread
    .flatMap((one) => one.explanation.threads)
    .toSorted((a, b) => a.slot - b.slot);
  if (explanation.near === null) return { explanation: { ...explanation, threads }, key, next };
  const near = mergeNear(byThread.flatMap((one) => one.explanation.near ?? []));
  const text = nearText(near);
  return {
    explanation: {
      ...explanation,
      threads,
      near,
      because: text === undefined ? explanation.because : `${explanation.because}; ${text}`,
      hints: [...explanation.hints, ...nearHints(near)],
    },
    key,
    next,
  };
}

const isOfHome = ({ explanation }: Explained): boolean =>
  explanation.threads.some((thread) => thread.isHome);
