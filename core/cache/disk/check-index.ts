import { IndexDb } from './index-db.ts';

/**
 * Run as a process of its own: walks all of the index in `argv[2]`. LMDB trusts what it maps, so that
 * damage in the midst of it can end the process that meets it; this one tells by how it ends.
 */
const [, , dir = '', mapBytes = ''] = process.argv;
const index = new IndexDb(dir, Number(mapBytes));
index.walk();
await index.close();
