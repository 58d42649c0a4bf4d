import { type Logger, pino } from 'pino';
import type { Clock } from '#core/clock.ts';
import { readBackup, restoreBackup } from './state/backup.ts';
import { openState, type StatePlace } from './state/open.ts';

/**
 * Puts a backup into a state, and says how much it brought.
 * @throws CanopyError `invalid-input` if it is none, `conflict` if the state is in use, or not empty
 * without `force`
 */
export async function restoreState(
  text: string,
  {
    force,
    clock,
    log = pino({ level: 'silent' }),
    ...place
  }: StatePlace & {
    /** Whether to replace what is there. */
    readonly force: boolean;
    readonly clock: Clock;
    readonly log?: Logger;
  },
): Promise<{ readonly sites: number; readonly nodes: number; readonly tokens: number }> {
  // Read before anything is opened, let alone replaced.
  const backup = readBackup(text);
  const store = await openState(place, log);
  try {
    await restoreBackup(store, backup, { force, now: clock.now() });
  } finally {
    await store.close();
  }
  const { config, tokens } = backup;
  return { sites: config.sites.length, nodes: config.nodes.length, tokens: tokens.length };
}
