import { RECORDS_SCHEMA } from './sqlite-records.ts';

/** Each brings the state of one version to the next; the first makes a new one. */
export const MIGRATIONS = [
  `
  CREATE TABLE journal (sequence INTEGER PRIMARY KEY, event TEXT NOT NULL) STRICT;
  CREATE TABLE head (only INTEGER PRIMARY KEY CHECK (only = 1), sequence INTEGER NOT NULL, network TEXT NOT NULL) STRICT;
  CREATE TABLE sites (name TEXT PRIMARY KEY, site TEXT NOT NULL) STRICT;
  CREATE TABLE nodes (name TEXT PRIMARY KEY, node TEXT NOT NULL) STRICT;
  CREATE TABLE credentials (node TEXT PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE, digest BLOB NOT NULL UNIQUE) STRICT;
  CREATE TABLE tokens (name TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, token TEXT NOT NULL) STRICT;
  CREATE TABLE purges (id TEXT PRIMARY KEY, sequence INTEGER NOT NULL UNIQUE, status TEXT NOT NULL, purge TEXT NOT NULL) STRICT;
  CREATE INDEX purges_by_status ON purges (status, sequence);
  `,
  // The journal's identity.
  `
  ALTER TABLE head ADD COLUMN journal TEXT NOT NULL DEFAULT '';
  UPDATE head SET journal = lower(hex(randomblob(16)));
  `,
  RECORDS_SCHEMA,
  // Keys of requests, and bans.
  `
  ALTER TABLE purges ADD COLUMN key TEXT;
  CREATE UNIQUE INDEX purges_by_key ON purges (key);
  CREATE TABLE bans (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, site TEXT, ban TEXT NOT NULL) STRICT;
  `,
  'ALTER TABLE head ADD COLUMN canary TEXT',
  // The secret that a rotation replaced.
  `
  ALTER TABLE tokens ADD COLUMN previous BLOB;
  CREATE UNIQUE INDEX tokens_by_previous ON tokens (previous);
  `,
  'CREATE TABLE releases (site TEXT PRIMARY KEY, release TEXT NOT NULL) STRICT',
  'CREATE TABLE certificates (name TEXT PRIMARY KEY, certificate TEXT NOT NULL) STRICT',
];
