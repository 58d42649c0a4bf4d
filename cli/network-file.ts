import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { baseUrlSchema } from '#core/contract/names.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { writeSecretFile } from './atomic-file.ts';

const networkFileSchema = z.strictObject({
  /** Where the control plane was last reached; absent before the first start. */
  controlPlaneUrl: baseUrlSchema.optional(),
  adminToken: z.string().min(16),
  /** By node name. */
  credentials: z.record(z.string(), z.string()),
  /** The sample site is uploaded once, so that what the operator deletes stays deleted. */
  sampleUploaded: z.boolean(),
});

/** What `canopy up` keeps in its directory for its next start and for the other commands. */
export type NetworkFile = z.output<typeof networkFileSchema>;

const pathIn = (dir: string): string => join(dir, 'network.json');

/** @throws CanopyError `invalid-input` when the file is there but not what it should be */
export async function readNetworkFile(dir: string): Promise<NetworkFile | undefined> {
  const file = pathIn(dir);
  try {
    return validate(networkFileSchema, JSON.parse(await readFile(file, 'utf8')), file);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    if (cause instanceof CanopyError) throw cause;
    throw new CanopyError('invalid-input', `Cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}

export const writeNetworkFile = (dir: string, content: NetworkFile): Promise<void> =>
  writeSecretFile(pathIn(dir), `${JSON.stringify(content, undefined, 2)}\n`);
