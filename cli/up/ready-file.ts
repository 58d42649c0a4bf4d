import { rm } from 'node:fs/promises';
import { writeSecretFile } from '../atomic-file.ts';
import type { RunningNetwork, RunningPlace } from './network.ts';

/** Writes what runs where, and the admin token, for the program that started `up`. */
export async function writeReadyFile(file: string, network: RunningNetwork): Promise<void> {
  const content = {
    edges: network.edges.map(entry),
    midTiers: network.midTiers.map(entry),
    origin: network.origins.map(entry)[0] ?? null,
    routers: [],
    controlPlane: network.controlPlane,
  };
  await writeSecretFile(file, `${JSON.stringify(content)}\n`);
}

export const removeReadyFile = (file: string): Promise<void> => rm(file, { force: true });

const entry = ({ name, url, pid, location }: RunningPlace) => ({ name, url, pid, location });
