import { Targets } from '#core/cache/targets.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import type { JournalEvent } from '#core/contract/event.ts';
import type { NamedPurge } from '#core/contract/explain.ts';
import type { Ban } from '#core/contract/purge.ts';
import type { Journal } from '../journal/journal.ts';

/** Events that are looked through, from the last one back; fewer where the journal was trimmed. */
const LOOKED_BACK = [2_000, 200, 20];
/** Purges that are told of. */
const MAX_NAMED = 10;

/** An object as purges name it. */
export interface Named {
  readonly site: ServedSite;
  readonly key: string;
  readonly tags: readonly string[];
}

/** The purges of late that name an object, the latest first. */
export async function namedPurges(
  journal: Pick<Journal, 'config' | 'events'>,
  object: Named,
): Promise<{
  readonly purges: NamedPurge[];
  readonly purgesSince: number;
  readonly bans: NamedPurge[];
}> {
  const { sequence, bans } = journal.config;
  const { since, events } = await lookedBack(journal, sequence);
  const purges = events
    .flatMap((event) => (event.type === 'purge' ? [purgeOf(event)] : []))
    .filter(({ target }) => concerns(target, object))
    .toReversed();
  const times = new Map(purges.map(({ sequence: at, at: ms }) => [at, ms]));
  return {
    purges: purges.slice(0, MAX_NAMED),
    purgesSince: since,
    bans: bans
      .filter(({ target }) => concerns(target, object))
      .map((ban) => banOf(ban, times.get(ban.sequence) ?? null)),
  };
}

async function lookedBack(
  journal: Pick<Journal, 'events'>,
  sequence: number,
): Promise<{ readonly since: number; readonly events: readonly JournalEvent[] }> {
  for (const span of LOOKED_BACK) {
    const since = Math.max(0, sequence - span);
    const events = await journal.events(since, span);
    if (events !== undefined) return { since, events };
  }
  return { since: sequence, events: [] };
}

const purgeOf = ({ sequence, at, purge }: JournalEvent & { type: 'purge' }): NamedPurge => ({
  id: purge.id,
  mode: purge.mode,
  sequence,
  at,
  target: purge.target,
});

const banOf = ({ id, sequence, target }: Ban, at: number | null): NamedPurge => ({
  id,
  mode: 'ban',
  sequence,
  at,
  target,
});

const concerns = (target: NamedPurge['target'], { site, key, tags }: Named): boolean =>
  new Targets([target], (name) => (name === site.name ? site : undefined)).has({
    site: site.name,
    key,
    tags,
  });
