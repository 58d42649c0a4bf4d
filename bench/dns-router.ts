// A router's DNS alone, as a process of its own: says where it listens, and ends with its parent.
import { parseArgs } from 'node:util';
import { nodeSchema } from '#core/contract/node.ts';
import { networkRoutingSchema } from '#core/contract/routing.ts';
import { siteSchema } from '#core/contract/site.ts';
import { GeoDatabase } from '#core/geography/database.ts';
import { DnsThreads } from '#control-plane/routing/threads/threads.ts';

const { values } = parseArgs({
  options: {
    database: { type: 'string', default: '' },
    edges: { type: 'string', default: '[]' },
    workers: { type: 'string', default: '1' },
    port: { type: 'string', default: '0' },
  },
});
const threads = new DnsThreads({
  module: new URL('../control-plane/routing/threads/thread.ts', import.meta.url),
  count: Number(values.workers),
  data: { name: 'router', answersPerSecond: 0 },
  databases: [GeoDatabase.open(values.database)],
  log: { error: (fields, message) => console.error(message, fields) },
});
threads.tell({
  type: 'config',
  config: {
    journal: 'bench',
    sequence: 1,
    bans: [],
    certificates: [],
    network: {
      tierKey: 'a key for this benchmark',
      routing: networkRoutingSchema.parse({ zones: [{ name: 'cdn.example' }] }),
    },
    nodes: (JSON.parse(values.edges) as object[]).map((edge) => nodeSchema.parse(edge)),
    sites: [
      siteSchema.parse({
        name: 'film',
        hosts: ['www.film.example'],
        origin: { kind: 'push' },
        routing: { answers: 1 },
      }),
    ],
  },
});
const [address] = await threads.listen([{ host: '127.0.0.1', port: Number(values.port) }]);
process.send?.(address);
process.once('disconnect', () => process.exit());
