import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { LocalAuthority } from '#cli/up/local-authority.ts';

test.each(['ca.pem', 'ca-key.pem'])(
  'an authority of which %s is lost is not replaced by another',
  async (lost) => {
    const dir = await mkdtemp(join(tmpdir(), 'canopy-authority-'));
    onTestFinished(() => rm(dir, { recursive: true, force: true }));
    await LocalAuthority.open(dir, Date.now());
    const other = lost === 'ca.pem' ? 'ca-key.pem' : 'ca.pem';
    const before = await readFile(join(dir, other), 'utf8');
    await rm(join(dir, lost));
    await expect(LocalAuthority.open(dir, Date.now())).rejects.toMatchObject({ code: 'conflict' });
    expect(await readFile(join(dir, other), 'utf8')).toBe(before);
  },
);
