import { open, rename } from 'node:fs/promises';

/** Writes `file` whole or not at all, readable by its owner only. */
export async function writeSecretFile(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}
