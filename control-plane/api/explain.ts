import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Config } from '#core/contract/event.ts';
import { nameSchema } from '#core/contract/names.ts';
import type { Site } from '#core/contract/site.ts';
import { CanopyError } from '#core/errors.ts';
import { parsePrefix, type Prefix } from '../routing/engine/prefix.ts';
import { explained } from '../routing/explain.ts';
import { routesNow } from '../routing/now.ts';
import { simulate } from '../routing/simulate.ts';
import { requireSite } from './access.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

const CLIENT = { error: 'an IP address, or a network such as 192.0.2.0/24' };
const clientSchema = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], CLIENT);

const explainSchema = z.strictObject({
  site: nameSchema,
  client: clientSchema,
  family: z.enum(['4', '6']).optional(),
});

const simulateSchema = z
  .strictObject({
    site: nameSchema,
    /** Edges that are gone. */
    without: z.array(nameSchema).max(1000).default([]),
    clients: z
      .array(
        z.strictObject({ client: clientSchema, requestsPerSecond: z.number().min(0).default(1) }),
      )
      .min(1)
      .max(100_000),
  })
  .meta({ title: 'question' });

const nearSchema = z.strictObject({
  node: nameSchema,
  roundTripMs: z.number().nullable(),
  by: z.string(),
  /** Of whom measurements count: the network, its ASN or its country. `null`: there are not enough. */
  measured: z.strictObject({ level: z.string(), of: z.string(), samples: z.number() }).nullable(),
});

const explanationSchema = z.strictObject({
  site: nameSchema,
  /** Who the client is, as far as it is known. */
  client: z.looseObject({ address: z.string(), network: z.string() }),
  /** What each step of the decision dropped. */
  steps: z.array(z.looseObject({ step: z.string() })),
  isLastResort: z.boolean(),
  chosen: z.array(nearSchema),
  ranked: z.array(nearSchema),
  scope: z.string(),
});

const simulationSchema = z.strictObject({
  clients: z.number(),
  moved: z.number(),
  moves: z.array(
    z.strictObject({
      from: nameSchema.nullable(),
      to: nameSchema.nullable(),
      clients: z.number(),
      requestsPerSecond: z.number(),
    }),
  ),
  edges: z.array(
    z.strictObject({
      node: nameSchema,
      before: z.number(),
      after: z.number(),
      limit: z.number().nullable(),
      overloads: z.boolean(),
    }),
  ),
});

const BODY_LIMIT_BYTES = 16 * 1024 * 1024;

/** Why clients are sent where they are, and where they would be sent without some edges. */
export function explainRoutes(app: FastifyInstance, services: Services): void {
  const { access, journal } = services;
  route(
    app,
    {
      method: 'GET',
      path: '/v1/explain/route',
      id: 'explainRoute',
      summary: 'Which edges a client is sent to, and why',
      admits: access.toSites('read'),
      query: explainSchema,
      answers: { 200: explanationSchema },
      errors: ['not-found'],
    },
    async (request) => {
      const { site: name, client, family } = request.query;
      requireSite(request.token, name);
      const { config } = journal;
      const site = siteOf(config, name);
      const wanted = family === undefined ? undefined : family === '4' ? 4 : 6;
      return explained(
        site,
        client,
        (await routesNow(services, config)).find(site, addressOf(client), wanted),
      );
    },
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/simulate/route',
      id: 'simulateRoute',
      summary: 'Where clients would be sent without some edges',
      admits: access.toSites('read'),
      body: simulateSchema,
      bodyLimitBytes: BODY_LIMIT_BYTES,
      changesNothing: true,
      answers: { 200: simulationSchema },
      errors: ['not-found'],
    },
    async (request) => {
      const { site: name, without, clients } = request.body;
      requireSite(request.token, name);
      const { config } = journal;
      for (const edge of without) {
        if (!config.nodes.some((node) => node.name === edge && node.tier === 'edge')) {
          throw new CanopyError('not-found', `There is no edge "${edge}"`);
        }
      }
      const [before, after] = await Promise.all([
        routesNow(services, config),
        routesNow(services, config, without),
      ]);
      return simulate(siteOf(config, name), clients, { before, after, nodes: config.nodes });
    },
  );
}

function siteOf({ sites }: Config, name: string): Site {
  const site = sites.find((candidate) => candidate.name === name);
  if (site === undefined) throw new CanopyError('not-found', `There is no site "${name}"`);
  return site;
}

function addressOf(client: string): Prefix {
  const address = parsePrefix(client);
  if (address === undefined) throw new CanopyError('invalid-input', `${client} is no address`);
  return address;
}
