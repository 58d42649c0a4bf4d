import { accessSync, constants, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { CanopyError, messageOf } from '#core/errors.ts';
import { writeSecretFile } from '../atomic-file.ts';
import type { RunningChild } from './children.ts';
import type { RunningNetwork, RunningPlace } from './network.ts';

/** Writes what runs where, and the admin token, for the program that started `up`. */
export async function writeReadyFile(file: string, network: RunningNetwork): Promise<void> {
  const content = {
    edges: network.edges.map(entry),
    midTiers: network.midTiers.map(entry),
    origin: network.origins.map(entry)[0] ?? null,
    origins: network.origins.map(entry),
    routers: network.routers.map((router) => ({ ...entry(router), dns: router.dns })),
    controlPlane: { ...entryOf(network.controlPlanes[0]), token: network.token },
    controlPlanes: network.controlPlanes.map(entryOf),
  };
  await writeSecretFile(file, `${JSON.stringify(content)}\n`);
}

/**
 * Removes what an earlier start left, and makes sure that there can be a new one.
 * @throws CanopyError `invalid-input`
 */
export function removeReadyFile(file: string): void {
  try {
    rmSync(file, { force: true });
    accessSync(dirname(file), constants.W_OK);
  } catch (cause) {
    throw new CanopyError('invalid-input', `Cannot write ${file}: ${messageOf(cause)}`, { cause });
  }
}

const entryOf = ({ url, adminUrl, pid }: RunningChild) => ({ url, adminUrl, pid });

const entry = ({ name, url, adminUrl, pid, location, tlsUrl }: RunningPlace) => ({
  name,
  url,
  adminUrl,
  pid,
  location,
  tlsUrl,
});
