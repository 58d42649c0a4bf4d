import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, test } from 'vitest';
import { openSqliteState } from '#control-plane/state/sqlite.ts';
import { stateStoreContract } from './state-store.ts';

let dir = '';
const newDir = async (): Promise<void> => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-state-'));
};
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('SQLite', () => {
  stateStoreContract(async () => openSqliteState(dir), newDir);
});

describe('openSqliteState', () => {
  test('refuses a state that is in use, in this process and in another, until it is closed', async () => {
    await newDir();
    const store = openSqliteState(dir);
    expect(() => openSqliteState(dir)).toThrow(
      expect.objectContaining({ code: 'conflict', message: expect.stringContaining(dir) }),
    );
    const other = spawn(process.execPath, [
      '--input-type=module',
      '--eval',
      `const { openSqliteState } = await import(${JSON.stringify(import.meta.resolve('#control-plane/state/sqlite.ts'))});
       try { openSqliteState(process.argv[1]); } catch (error) { process.stdout.write(error.code); }`,
      dir,
    ]);
    let said = '';
    other.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await once(other, 'close');
    expect(said).toBe('conflict');
    await store.close();
    await openSqliteState(dir).close();
  });

  test('refuses a file that is no database, and leaves it as it is', async () => {
    await newDir();
    await writeFile(join(dir, 'state.sqlite'), 'not a database, '.repeat(100));
    expect(() => openSqliteState(dir)).toThrow(
      expect.objectContaining({
        code: 'internal-error',
        message: expect.stringMatching(/^[^\n]+$/),
      }),
    );
  });

  test('refuses a damaged database', async () => {
    await newDir();
    const store = openSqliteState(dir);
    await store.append([
      { sequence: 1, at: 0, type: 'network.put', network: { tierKey: 'k'.repeat(20_000) } },
    ]);
    await store.close();
    const file = await open(join(dir, 'state.sqlite'), 'r+');
    await file.write(Buffer.alloc(8_192, 0xee), 0, 8_192, 4_096);
    await file.close();
    expect(() => openSqliteState(dir)).toThrow(expect.objectContaining({ code: 'internal-error' }));
  });

  test('refuses a state of a later version', async () => {
    await newDir();
    await openSqliteState(dir).close();
    const database = new DatabaseSync(join(dir, 'state.sqlite'));
    database.exec('PRAGMA user_version = 99');
    database.close();
    expect(() => openSqliteState(dir)).toThrow(/version 99/);
  });

  test.for([
    [
      1,
      'whose journal had no identity',
      'ALTER TABLE head DROP COLUMN journal; DROP TABLE records;',
    ],
    [2, 'which knew no records', 'DROP TABLE records;'],
    [3, 'which knew no bans', ''],
  ] as const)('brings a state of version %i, %s, up to date', async ([version, , steps]) => {
    await newDir();
    const store = openSqliteState(dir);
    const network = { tierKey: 'tier-key-of-the-network' };
    await store.append([{ sequence: 1, at: 0, type: 'network.put', network }]);
    await store.close();
    const database = new DatabaseSync(join(dir, 'state.sqlite'));
    database.exec(`
      DROP INDEX purges_by_key;
      ALTER TABLE purges DROP COLUMN key;
      DROP TABLE bans;
      DROP TABLE releases;
      DROP INDEX tokens_by_previous;
      ALTER TABLE tokens DROP COLUMN previous;
      INSERT INTO tokens VALUES ('old', x'0102', '{"name":"old","scopes":["read"],"sites":null,"createdAt":1}');
      ALTER TABLE head DROP COLUMN canary;
      DROP TABLE certificates;
      ${steps}
      PRAGMA user_version = ${version};
    `);
    database.close();
    const again = openSqliteState(dir);
    const config = await again.config();
    const journal = expect.stringMatching(/^[0-9a-f-]{32,}$/) as string;
    expect(config).toMatchObject({ journal, sequence: 1, bans: [], certificates: [] });
    expect(await again.purgeByKey('k')).toBeUndefined();
    const digest = Uint8Array.of(1, 2);
    const old = { name: 'old', digest, createdAt: 1, expiresAt: null, previous: null };
    expect(await again.tokenByDigest(digest)).toMatchObject(old);
    await again.close();
    const reopened = openSqliteState(dir);
    expect(await reopened.config()).toEqual(config);
    await reopened.close();
  });
});
