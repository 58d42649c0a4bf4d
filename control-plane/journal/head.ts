import { randomUUID } from 'node:crypto';
import type { JournalHead } from '../state/store.ts';

/**
 * Where a journal goes on whose history is no longer what nodes may know: under a new name, and beyond
 * every sequence that the lost history can have reached, so that fences never go back. No journal
 * gets a thousand events a second for long, so the time in milliseconds is ahead of all of them.
 * @param sequence the last one known
 * @param now ms since the Unix epoch
 */
export const newHead = (sequence: number, now: number): JournalHead => ({
  journal: randomUUID(),
  sequence: Math.max(sequence, Math.floor(now)) + 1,
});
