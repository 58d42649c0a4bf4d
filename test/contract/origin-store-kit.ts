import { createHash } from 'node:crypto';
import { onTestFinished } from 'vitest';
import type { Clock } from '#core/clock.ts';
import type { IndexedStore } from '#origin/indexed-store.ts';
import type { Content, ObjectStore, SiteLimits } from '#origin/object-store.ts';
import { chunks, textOf, uploadOf, wallClock } from '#test/origin/support.ts';

export interface OpenOptions {
  readonly clock?: Clock;
  readonly limits?: Partial<SiteLimits>;
  readonly onDamaged?: (content: Content) => void;
}

/** Where a store keeps what it has, and what can happen to it there. */
export interface Place {
  /** A store on what is there; the one before must be closed. */
  open(options: OpenOptions): Promise<IndexedStore>;
  /** The names of all bodies, parts of bodies among them. */
  bodies(): Promise<readonly string[]>;
  /** Writes a body past the store; `undefined` removes it. */
  setBody(name: string, text: string | undefined): Promise<void>;
}

/** A store on a place, and the way to another one on the same. */
export async function startStore(place: Place, options: OpenOptions = {}) {
  const clock = wallClock();
  let store = await place.open({ clock, ...options });
  onTestFinished(() => store.close());
  const restart = async (changed: OpenOptions = options): Promise<IndexedStore> => {
    await store.close();
    store = await place.open({ clock, ...changed });
    await store.swept;
    return store;
  };
  /** Once what is removed behind is gone. */
  const bodies = async (): Promise<readonly string[]> => {
    await restart();
    return place.bodies();
  };
  return { place, clock, store, restart, bodies };
}

export type Start = (options?: OpenOptions) => ReturnType<typeof startStore>;

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

export const anyway = (): void => undefined;

export const put = async (store: ObjectStore, path: string, text: string, site = 'shop') =>
  (await store.put(site, path, uploadOf(text))).object;

export const putContent = (store: ObjectStore, text: string) =>
  store.putContent('shop', { content: chunks(text), size: undefined, digest: sha256(text) });

export const served = async (store: ObjectStore, path: string) =>
  textOf(store, await store.find('shop', path));

/** For a publication. */
export const at = (path: string, text: string) => ({
  path,
  digest: sha256(text),
  contentType: 'text/plain',
  cacheControl: undefined,
});
