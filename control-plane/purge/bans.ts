import type { Config, JournalEntry } from '#core/contract/event.ts';
import { type Ban, namesOf, type PurgeTarget } from '#core/contract/purge.ts';
import { CanopyError } from '#core/errors.ts';

/** URLs, prefixes, tags and the like that may be banned at once: nodes compare each answer with them. */
const MAX_BANNED = 10_000;

/** @throws CanopyError `conflict` where more would be banned than nodes take */
export function assertRoom({ bans }: Pick<Config, 'bans'>, targets: readonly PurgeTarget[]): void {
  const banned = [...bans.map(({ target }) => target), ...targets].reduce(
    (count, target) => count + namesOf(target).length,
    0,
  );
  if (banned <= MAX_BANNED) return;
  throw new CanopyError(
    'conflict',
    `${banned} URLs, prefixes and tags would be banned, at most ${MAX_BANNED} may be: lift older bans first`,
  );
}

/**
 * Ends the bans of one purge.
 * @param check called with them; may throw
 * @throws CanopyError `not-found` where it has none
 */
export function planLift(
  { bans }: Pick<Config, 'bans'>,
  id: string,
  check: (bans: readonly Ban[]) => void,
): readonly JournalEntry[] {
  const lifted = bans.filter((ban) => ban.id === id);
  if (lifted.length === 0) throw new CanopyError('not-found', `There is no ban "${id}"`);
  check(lifted);
  return [{ type: 'ban.lift', id }];
}
