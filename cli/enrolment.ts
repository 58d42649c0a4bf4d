import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { nodeOfEnrolment } from '#core/contract/enrolment.ts';
import { nameSchema } from '#core/contract/names.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { ControlPlaneClient } from '#core/node/control-plane-client.ts';
import { writeSecretFile } from './atomic-file.ts';

/** What an enrolled node keeps in its directory, readable by its owner only. */
const fileSchema = z.strictObject({
  name: nameSchema,
  credential: z.string().min(16),
  /** SHA-256 of the one-time token. */
  token: z.string(),
  /** Whether the control plane has taken the credential. */
  enrolled: z.boolean(),
});

export type Enrolled = Pick<z.output<typeof fileSchema>, 'name' | 'credential'>;

const pathIn = (dir: string): string => join(dir, 'enrolment.json');

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** What an earlier start was enrolled as. @throws CanopyError `invalid-input` if the file is damaged */
export async function readEnrolment(dir: string): Promise<Enrolled | undefined> {
  const file = await read(dir);
  return file?.enrolled === true ? file : undefined;
}

/**
 * Exchanges a one-time token for a credential that the node makes itself and that only its SHA-256
 * leaves. A start with the same token finds it done, or, if the answer was lost, asks again with the
 * same credential.
 * @throws CanopyError as the control plane refuses, or if none can be reached
 */
export async function enrol(
  dir: string,
  token: string,
  client: ControlPlaneClient,
): Promise<Enrolled> {
  const before = await read(dir);
  const isSame = before?.token === sha256(token);
  if (isSame && before.enrolled) return before;
  const name = nodeOfEnrolment(token);
  const fresh = { name, credential: randomBytes(32).toString('base64url'), token: sha256(token) };
  const enrolment = isSame ? before : { ...fresh, enrolled: false };
  // Kept before it is told, so that it cannot be lost once it counts.
  await write(dir, enrolment);
  await client.post(`/v1/enrolments/${name}/exchange`, { digest: sha256(enrolment.credential) });
  await write(dir, { ...enrolment, enrolled: true });
  return enrolment;
}

const write = (dir: string, content: z.output<typeof fileSchema>): Promise<void> =>
  writeSecretFile(pathIn(dir), `${JSON.stringify(content, undefined, 2)}\n`);

async function read(dir: string): Promise<z.output<typeof fileSchema> | undefined> {
  const file = pathIn(dir);
  try {
    return validate(fileSchema, JSON.parse(await readFile(file, 'utf8')), file);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    if (cause instanceof CanopyError) throw cause;
    throw new CanopyError('invalid-input', `Cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}
