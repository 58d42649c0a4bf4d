import { createRequire } from 'node:module';
import { parse as parseHls, setOptions, type types } from 'hls-parser';
import type { Named } from './manifest-worker.ts';

/** The part of mpd-parser that is used: it has no types of its own. */
interface DashPlaylist {
  readonly resolvedUri?: string;
  readonly sidx?: { readonly resolvedUri: string };
  readonly segments: readonly DashSegment[];
}
interface DashSegment {
  readonly resolvedUri: string;
  readonly map?: { readonly resolvedUri: string };
}
type DashGroups = Readonly<
  Record<string, Readonly<Record<string, { readonly playlists?: readonly DashPlaylist[] }>>>
>;
interface MpdParser {
  parse(
    manifest: string,
    options: { readonly manifestUri: string; readonly NOW: number },
  ): {
    readonly playlists: readonly DashPlaylist[];
    readonly mediaGroups: Readonly<Record<string, DashGroups>>;
  };
}

const dash = createRequire(import.meta.url)('mpd-parser') as MpdParser;

setOptions({ silent: true });

/**
 * What an HLS playlist (RFC 8216) or a DASH manifest (ISO/IEC 23009-1) at `url` names.
 * @throws Error where it is neither
 */
export function manifestUrls(text: string, url: string): Named {
  const begin = text.replace(/^\uFEFF/, '').trimStart();
  const { objects, manifests } = begin.startsWith('#EXTM3U')
    ? hlsUrls(begin)
    : /<(?:\w+:)?MPD[\s>]/.test(begin)
      ? dashUrls(begin, url)
      : fail('neither HLS nor DASH');
  const absolute = (uris: readonly (string | undefined)[]): string[] => [
    ...new Set(uris.flatMap((uri) => (uri === undefined ? [] : (URL.parse(uri, url)?.href ?? [])))),
  ];
  return { objects: absolute(objects), manifests: absolute(manifests) };
}

interface Uris {
  readonly objects: readonly (string | undefined)[];
  readonly manifests: readonly (string | undefined)[];
}

function hlsUrls(text: string): Uris {
  const playlist = parseHls(text);
  return playlist.isMasterPlaylist ? ofMaster(playlist) : ofMedia(playlist);
}

function ofMaster({ variants, sessionKeyList }: types.MasterPlaylist): Uris {
  const renditions = variants.flatMap(({ audio, video, subtitles }) => [
    ...audio,
    ...video,
    ...subtitles,
  ]);
  return {
    objects: sessionKeyList.map(({ uri }) => uri),
    manifests: [...variants, ...renditions].map(({ uri }) => uri),
  };
}

function ofMedia({ segments }: types.MediaPlaylist): Uris {
  const objects = segments.flatMap(({ map, key, uri }) => [map?.uri, key?.uri, uri]);
  return { objects, manifests: [] };
}

function dashUrls(text: string, url: string): Uris {
  const { playlists, mediaGroups } = dash.parse(text, { manifestUri: url, NOW: Date.now() });
  const grouped = Object.values(mediaGroups)
    .flatMap((groups) => Object.values(groups))
    .flatMap((labels) => Object.values(labels))
    .flatMap(({ playlists: own = [] }) => own);
  const objects = [...playlists, ...grouped].flatMap(({ segments, sidx }) => [
    sidx?.resolvedUri,
    ...segments.flatMap(({ map, resolvedUri }) => [map?.resolvedUri, resolvedUri]),
  ]);
  return { objects, manifests: [] };
}

function fail(why: string): never {
  throw new Error(why);
}
