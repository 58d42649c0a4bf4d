// An object of twenty slices, on a site whose slices are small.

export const SLICE_BYTES = 4096;
export const LARGE = { site: { cache: { sliceBytes: SLICE_BYTES, sliceAboveBytes: 10_000 } } };
export const SLICES = 20;
/** The last slice is a short one. */
export const SIZE = SLICES * SLICE_BYTES - 1000;

/** Bytes that differ from slice to slice, and from version to version. */
export const film = (version = 1): Buffer =>
  Buffer.from(Array.from({ length: SIZE }, (_, i) => (i * 31 + (i >> 8) * 7 + version) % 256));

export const answer = (version = 1) =>
  ({
    cacheControl: 'max-age=60',
    etag: `"${version}"`,
    body: film(version),
    ranges: true,
  }) as const;

export const part = (start: number, end: number, version = 1) =>
  ({ status: 206, body: film(version).subarray(start, end + 1) }) as const;

export const range = (start: number, end: number | '' = ''): Record<string, string> => ({
  Range: `bytes=${start}-${end}`,
});

export const asked = (index: number, etag = '"1"'): string =>
  `GET /film range bytes=${index * SLICE_BYTES}-${Math.min((index + 1) * SLICE_BYTES, SIZE) - 1} if-range ${etag}`;
