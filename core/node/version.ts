import { readFileSync } from 'node:fs';

/** The version of this Canopy package; the built one lies a folder deeper than a checkout. */
export const version: string =
  ['../../package.json', '../../../package.json']
    .map((path) => readVersion(new URL(path, import.meta.url)))
    .find((found) => found !== undefined) ?? 'unknown';

function readVersion(manifest: URL): string | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(manifest, 'utf8'));
    return (value as { version?: string }).version;
  } catch {
    return undefined;
  }
}
