import { z } from 'zod';
import { groupOf, type Node } from '#core/contract/node.ts';
import { pullOrigins, type Site } from '#core/contract/site.ts';
import { InvalidInput } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { SiteDirectory } from '#core/sites.ts';
import type { Addresses } from './addresses.ts';
import { ruleFindings } from './rule-findings.ts';

/**
 * What is wrong with sites that each fit the schema.
 * - `host-claimed`: two sites claim the same host
 * - `host-taken`: a host that another site's wildcard matches goes to this one
 * - `origin-is-ours`: the origin is a node of this network, so requests would go in circles
 * - `origin-is-own-host`: the origin is named like a host of the site; requests go in circles if that leads here
 * - `origin-unresolved`: nobody knows an address of the origin
 * - `no-origin`: the network has no origin that could hold the content
 * - `unknown-group`: no mid-tier is in the group
 * - `unknown-origin`: a rule names an origin that the site does not have
 * - `rule-never-matches`: no request can fit all that a rule states
 * - `rule-without-effect`: another rule is for every request, so that nothing comes of this one's action
 * - `unknown-function`: a rule calls a function that the site does not have
 * - `broken-function`: a function cannot be loaded
 * - `unknown-key`: a rule requires signatures by a key that the site has not
 */
export const KINDS = {
  'host-claimed': 'error',
  'host-taken': 'warning',
  'origin-is-ours': 'error',
  'origin-is-own-host': 'warning',
  'origin-unresolved': 'warning',
  'no-origin': 'warning',
  'unknown-group': 'warning',
  'unknown-origin': 'error',
  'rule-never-matches': 'warning',
  'rule-without-effect': 'warning',
  'unknown-function': 'error',
  'broken-function': 'error',
  'unknown-key': 'warning',
} as const;

type Kind = keyof typeof KINDS;

export const findingSchema = z.strictObject({
  kind: z.enum(Object.keys(KINDS) as Kind[]),
  /** Errors keep a version from being made. */
  severity: z.enum(['error', 'warning']),
  site: z.string(),
  message: z.string(),
});

export type Finding = z.output<typeof findingSchema>;

export interface Surroundings {
  readonly nodes: readonly Node[];
  /** Of origin servers and nodes. */
  readonly addresses: Addresses;
}

/**
 * What speaks against sites.
 * @param sites all that there would be
 * @param changed the names of those that are looked at; what is as it was stays in peace
 */
export function findingsOf(
  sites: readonly Site[],
  changed: ReadonlySet<string>,
  { nodes, addresses }: Surroundings,
): Finding[] {
  const owners = ownersOf(sites);
  const ours = new Map(
    nodes.flatMap((node) => placesOf(node.url, addresses).map((place) => [place, node.name])),
  );
  const looked = sites.filter(({ name }) => changed.has(name));
  return [
    ...looked.flatMap((site) => claimedHosts(site, owners)),
    ...looked.flatMap((site) => takenHosts(site, owners)),
    ...looked.flatMap((site) => serverFindings(site, ours, addresses)),
    ...looked.flatMap((site) => missingNodes(site, nodes)),
    ...looked.flatMap((site) =>
      ruleFindings(site).map(({ kind, message }) => finding(kind, site, message)),
    ),
    ...looked.flatMap(unknownFunctions),
    ...looked.flatMap(missingKeys),
  ];
}

/** @throws CanopyError `conflict` for the first claimed host, InvalidInput for all other errors */
export function requireNoErrors(findings: readonly Finding[]): void {
  const errors = findings.filter(({ severity }) => severity === 'error');
  const claimed = errors.find(({ kind }) => kind === 'host-claimed');
  if (claimed !== undefined) throw new CanopyError('conflict', claimed.message);
  if (errors.length === 0) return;
  throw new InvalidInput(
    'configuration',
    errors.map(({ kind, site, message }) => ({
      path: `sites.${site}.${AT[kind]?.field ?? ''}`,
      expected: AT[kind]?.expected ?? 'something else',
      received: message,
    })),
  );
}

/** Where an error is, and what there should be instead. */
const AT: { readonly [K in Kind]?: { readonly field: string; readonly expected: string } } = {
  'origin-is-ours': { field: 'origin', expected: 'an origin outside of this network' },
  'unknown-origin': { field: 'rules', expected: 'an origin of the site' },
  'unknown-function': { field: 'rules', expected: "one of the site's functions" },
  'broken-function': { field: 'functions', expected: 'a module that exports a hook' },
};

export const finding = (kind: Kind, { name }: Site, message: string): Finding => ({
  kind,
  severity: KINDS[kind],
  site: name,
  message,
});

/** Whose each host is, by the pattern as it stands; of several sites that claim it, all. */
type Owners = ReadonlyMap<string, readonly string[]>;

const ownersOf = (sites: readonly Site[]): Owners => {
  const owners = new Map<string, string[]>();
  for (const { name, hosts } of sites) {
    for (const host of new Set(hosts)) owners.set(host, [...(owners.get(host) ?? []), name]);
  }
  return owners;
};

const claimedHosts = (site: Site, owners: Owners): Finding[] =>
  site.hosts.flatMap((host) =>
    (owners.get(host) ?? [])
      .filter((other) => other !== site.name)
      .map((other) =>
        finding(
          'host-claimed',
          site,
          `Host "${host}" of site "${site.name}" is claimed by site "${other}"`,
        ),
      ),
  );

/** Requests for these went to another site until now; `*` is for what nobody else wants. */
const takenHosts = (site: Site, owners: Owners): Finding[] =>
  site.hosts.flatMap((host) => {
    const wildcard = wildcardsAbove(host).find((above) => owners.has(above)) ?? '';
    const [other = site.name] = owners.get(wildcard) ?? [];
    if (other === site.name) return [];
    const message = `Site "${site.name}" takes "${host}", which "${wildcard}" of site "${other}" matches`;
    return [finding('host-taken', site, message)];
  });

/** `*.b.c`, then `*.c`, of `a.b.c` and of `*.a.b.c`. */
function wildcardsAbove(host: string): string[] {
  const labels = host.replace(/^\*\.?/, '').split('.');
  return labels.slice(1).map((_, i) => `*.${labels.slice(i + 1).join('.')}`);
}

const unknownFunctions = (site: Site): Finding[] =>
  site.rules.flatMap(({ function: called }, i) => {
    if (called === undefined || Object.hasOwn(site.functions, called)) return [];
    return [finding('unknown-function', site, `Rule ${i} calls the function "${called}"`)];
  });

function missingNodes(site: Site, nodes: readonly Node[]): Finding[] {
  const { origin, shieldGroup } = site;
  const findings: Finding[] = [];
  if (origin.kind === 'push' && !nodes.some(({ tier }) => tier === 'origin')) {
    findings.push(finding('no-origin', site, 'The network has no origin yet'));
  }
  const inGroup = nodes.some((node) => node.tier === 'mid-tier' && groupOf(node) === shieldGroup);
  if (shieldGroup !== null && !inGroup) {
    findings.push(finding('unknown-group', site, `No mid-tier is in group "${shieldGroup}"`));
  }
  return findings;
}

/** Rules that let nobody in, for nobody can sign. */
function missingKeys(site: Site): Finding[] {
  const ids = site.signingKeys.map(({ id }) => id);
  return site.rules.flatMap(({ requireSignature, name }, i) => {
    if (requireSignature === undefined) return [];
    const rule = name ?? `rules[${i}]`;
    if (ids.length === 0) {
      return [finding('unknown-key', site, `"${rule}" requires signatures, without signingKeys`)];
    }
    return (requireSignature.keys ?? [])
      .filter((id) => !ids.includes(id))
      .map((id) => finding('unknown-key', site, `"${rule}" names the key "${id}", which is none`));
  });
}

/** @param ours names of nodes by their places */
function serverFindings(
  site: Site,
  ours: ReadonlyMap<string, string>,
  addresses: Addresses,
): Finding[] {
  const own = new SiteDirectory([{ ...site, hosts: site.hosts.filter((host) => host !== '*') }]);
  const servers = pullOrigins(site).flatMap((origin) => origin.servers);
  return servers.flatMap(({ url }) => {
    const { hostname } = new URL(url);
    const node = placesOf(url, addresses)
      .map((place) => ours.get(place))
      .find((name) => name !== undefined);
    if (node !== undefined) return [finding('origin-is-ours', site, `${url} is node "${node}"`)];
    const findings: Finding[] = [];
    if ((addresses.get(hostname) ?? []).length === 0) {
      findings.push(finding('origin-unresolved', site, `"${hostname}" cannot be resolved`));
    }
    if (own.byHost(hostname) !== undefined) {
      const message = `${url} is also a host of the site: its DNS must not lead to this network`;
      findings.push(finding('origin-is-own-host', site, message));
    }
    return findings;
  });
}

/** `ADDRESS PORT` of all that a URL leads to. */
function placesOf(url: string, addresses: Addresses): string[] {
  const { hostname, port, protocol } = new URL(url);
  const number = port === '' ? (protocol === 'https:' ? '443' : '80') : port;
  return (addresses.get(hostname) ?? []).map((address) => `${address} ${number}`);
}
