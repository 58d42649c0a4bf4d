import type { Site } from '#core/contract/site.ts';
import { siteSchema } from '#core/contract/site.ts';
import { InvalidInput, validate } from '#core/contract/validate.ts';

/** The one site that `canopy up` makes. */
export const SITE_NAME = 'default';

export interface SiteWishes {
  /** Origin servers in order of priority. */
  readonly pull: readonly string[];
  readonly hosts: readonly string[];
  /** Content of the site file. */
  readonly file?: unknown;
}

/**
 * The site that the options ask for, and nothing of an earlier start: who starts the network again
 * with the same options gets the same.
 * @throws InvalidInput with the path of each wrong field
 */
export function siteFor(wishes: SiteWishes): Site {
  const servers = wishes.pull.map((url, priority) => ({ url, priority }));
  const base = { name: SITE_NAME, hosts: ['*'], origin: { kind: 'push' } };
  const options = {
    ...(wishes.hosts.length > 0 && { hosts: wishes.hosts }),
    ...(servers.length > 0 && { origin: { kind: 'pull', servers } }),
  };
  const site = validate(
    siteSchema,
    [options, wishes.file ?? {}].reduce<unknown>(mergeDeep, base),
    'site',
  );
  if (site.name === SITE_NAME) return site;
  throw new InvalidInput('site', [
    { path: 'name', expected: `"${SITE_NAME}", or none`, received: JSON.stringify(site.name) },
  ]);
}

/** `over` laid on `under`, object by object; lists and everything else are replaced whole. */
export function mergeDeep(under: unknown, over: unknown): unknown {
  if (!isRecord(under) || !isRecord(over)) return over;
  // Objects of different kinds have different fields; those of the old kind would not fit the new.
  if ('kind' in over && over['kind'] !== under['kind']) return over;
  const merged = Object.entries(over).map(([key, value]) => [
    key,
    Object.hasOwn(under, key) ? mergeDeep(under[key], value) : value,
  ]);
  return { ...under, ...Object.fromEntries(merged) };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
