import { parentPort, workerData } from 'node:worker_threads';
import { MAX_PUSH_URLS } from '#core/contract/push.ts';
import { manifestUrls } from './manifest-urls.ts';

/** What a manifest names, absolute. */
export interface Named {
  /** Segments, keys and the like. */
  readonly objects: readonly string[];
  /** Playlists that name more. */
  readonly manifests: readonly string[];
}

const { text, url } = workerData as { readonly text: string; readonly url: string };
const { objects, manifests } = manifestUrls(text, url);
// One more than may be, so that it shows.
const named: Named = { objects: objects.slice(0, MAX_PUSH_URLS + 1), manifests };
parentPort?.postMessage(named);
