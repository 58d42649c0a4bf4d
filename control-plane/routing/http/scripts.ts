import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { type Asked, type Reply, requireReading } from './reply.ts';

const SOURCES = {
  client: new URL('../../../client/client.ts', import.meta.url),
  beacon: new URL('../../../client/beacon.ts', import.meta.url),
};

const FIELDS = ['Content-Type', 'text/javascript; charset=utf-8', 'Cache-Control', 'max-age=3600'];

/** The client for browsers, as a router serves it to pages. */
export function script(name: keyof typeof SOURCES): (asked: Asked) => Reply {
  let body: Buffer | undefined;
  return ({ request }) => {
    requireReading(request);
    body ??= Buffer.from(moduleOf(SOURCES[name]));
    return { status: 200, fields: [...FIELDS, 'Content-Length', String(body.length)], body };
  };
}

function moduleOf(source: URL): string {
  const text = readFileSync(source, 'utf8');
  // As published it is JavaScript already.
  if (!source.pathname.endsWith('.ts')) return text;
  return stripTypeScriptTypes(text).replaceAll(/\.\/client\.ts\b/g, './client.js');
}
