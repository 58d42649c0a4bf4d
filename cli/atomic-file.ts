import { open, rename } from 'node:fs/promises';

/** Writes `file` whole or not at all, readable by its owner only. */
export const writeSecretFile = (file: string, text: string): Promise<void> =>
  writeFileWhole(file, text, 0o600);

/** Writes `file` whole or not at all. @param mode its permissions, less the umask */
export async function writeFileWhole(file: string, text: string, mode: number): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  const handle = await open(temporary, 'w', mode);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}
