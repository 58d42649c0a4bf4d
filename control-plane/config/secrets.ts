import type { JournalEvent, SiteChange } from '#core/contract/event.ts';
import type { PullOrigin, Site } from '#core/contract/site.ts';
import { InvalidInput } from '#core/contract/validate.ts';

/** What people read in the place of a secret; written back, it leaves the secret as it is. */
export const KEPT_SECRET = '(secret, as it is)';

/** Fields by which a site's servers know those who may ask. */
const SECRET_FIELD = /^(?:authorization|cookie)$|key|token|secret|password/i;

/** A site as people may read it. */
export const withoutSecrets = (site: Site): Site => mapSecrets(site, () => KEPT_SECRET);

/**
 * A site as it is meant: with the secrets of the present one where it only says that it has them.
 * @throws InvalidInput where there is none to keep
 */
export function withSecrets(site: Site, present: Site | undefined): Site {
  const known = present && secretsOf(present);
  return mapSecrets(site, (secret, path) => {
    if (secret !== KEPT_SECRET) return secret;
    const kept = known?.get(path);
    if (kept !== undefined) return kept;
    const expected = `a secret: site "${site.name}" has none here that could be kept`;
    throw new InvalidInput('site', [{ path, expected, received: JSON.stringify(secret) }]);
  });
}

/** All of them, by name. */
export const allWithSecrets = (sites: readonly Site[], present: readonly Site[]): Site[] => {
  const byName = new Map(present.map((site) => [site.name, site]));
  return sites.map((site) => withSecrets(site, byName.get(site.name)));
};

/** An event with its sites as people may read them. */
export function withoutSiteSecrets(event: JournalEvent): JournalEvent {
  switch (event.type) {
    case 'site.put':
      return { ...event, site: withoutSecrets(event.site) };
    case 'sites.change':
      return { ...event, change: changeWithout(event.change) };
    case 'canary.begin':
    case 'canary.end':
      return { ...event, canary: { ...event.canary, change: changeWithout(event.canary.change) } };
    default:
      return event;
  }
}

const changeWithout = (change: SiteChange): SiteChange => ({
  ...change,
  put: change.put.map(withoutSecrets),
});

/** By path. */
export function secretsOf(site: Site): ReadonlyMap<string, string> {
  const secrets = new Map<string, string>();
  mapSecrets(site, (secret, path) => {
    secrets.set(path, secret);
    return secret;
  });
  return secrets;
}

export function mapSecrets(site: Site, map: (secret: string, path: string) => string): Site {
  const origins = Object.entries(site.origins).map(([name, origin]): [string, PullOrigin] => [
    name,
    mapOrigin(origin, `origins.${name}`, map),
  ]);
  const signingKeys = site.signingKeys.map(({ id, secret }) => ({
    id,
    secret: map(secret, `signingKeys.${id}.secret`),
  }));
  const { origin } = site;
  return {
    ...site,
    signingKeys,
    origin: origin.kind === 'pull' ? mapOrigin(origin, 'origin', map) : origin,
    origins: Object.fromEntries(origins),
  };
}

function mapOrigin(
  { requestFields, signing, ...origin }: PullOrigin,
  path: string,
  map: (secret: string, path: string) => string,
): PullOrigin {
  const fields = Object.entries(requestFields).map(([name, value]): [string, string] => [
    name,
    SECRET_FIELD.test(name) ? map(value, `${path}.requestFields.${name}`) : value,
  ]);
  return {
    ...origin,
    requestFields: Object.fromEntries(fields),
    ...(signing !== undefined && {
      signing: { ...signing, secret: map(signing.secret, `${path}.signing.secret`) },
    }),
  };
}
