import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Clock } from '#core/clock.ts';

/** Finds the addresses of a hostname. @throws if it has none, or nobody knows */
export type Resolve = (host: string) => Promise<readonly string[]>;

export const systemResolve: Resolve = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

/** How long a change waits for DNS; a name that has not been found by then counts as one that has not. */
const PATIENCE_MS = 1_000;

/** Addresses by host, as URLs write it; of names that cannot be resolved none. */
export type Addresses = ReadonlyMap<string, readonly string[]>;

export async function addressesOf(
  urls: readonly string[],
  resolve: Resolve,
  clock: Clock,
): Promise<Addresses> {
  const hosts = new Set(urls.map((url) => new URL(url).hostname));
  const found = new Map<string, readonly string[]>();
  const looking = [...hosts].map(async (host) => {
    const bare = host.replace(/^\[(.*)\]$/, '$1');
    found.set(host, isIP(bare) > 0 ? [bare] : await resolve(bare).catch(() => []));
  });
  const { promise: timeOut, resolve: giveUp } = Promise.withResolvers<void>();
  const cancel = clock.after(PATIENCE_MS, giveUp);
  await Promise.race([Promise.all(looking), timeOut]);
  cancel();
  return new Map(found);
}
