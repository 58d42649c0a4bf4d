import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { sequenceSchema } from '#core/contract/names.ts';
import {
  dnsNameSchema,
  type NetworkRouting,
  networkRoutingSchema,
} from '#core/contract/routing.ts';
import { type InputIssue, InvalidInput } from '#core/contract/validate.ts';
import { delegationSigners, withKeysFor } from '../routing/dnssec-keys.ts';
import { isWithin, routingOf, withTxtValues } from '../routing/txt.ts';
import { wrote } from './audit.ts';
import { catchUpFor, entityTagOf, requireUnchanged, sendTagged } from './conditions.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

const txtSchema = z
  .strictObject({
    values: z.array(z.string().max(4096)).min(1).max(100),
    ttlSeconds: z.int().min(0).max(604_800).default(60),
  })
  .meta({ title: 'TXT record' });

const params = z.strictObject({ name: z.string().toLowerCase().pipe(dnsNameSchema) });

const delegationSignersSchema = z.strictObject({
  zones: z.array(
    z.strictObject({
      zone: dnsNameSchema,
      keyTag: z.int(),
      algorithm: z.int(),
      digestType: z.int(),
      /** Hexadecimal. */
      digest: z.string(),
    }),
  ),
});

const answerSchema = z.strictObject({ routing: networkRoutingSchema, sequence: sequenceSchema });

/** The zones of the routers, and the operator's overrides. */
export function routingRoutes(app: FastifyInstance, { access, journal }: Services): void {
  const current = (): NetworkRouting => routingOf(journal.config.network);
  const configures = access.toNetwork('configure');
  const change = async (
    request: FastifyRequest,
    reply: FastifyReply,
    next: (routing: NetworkRouting) => NetworkRouting,
  ): Promise<z.output<typeof answerSchema>> => {
    await catchUpFor(request, journal);
    const events = await journal.change(({ network }) => {
      requireUnchanged(request, routingOf(network));
      const routing = next(routingOf(network));
      assertSound(routing);
      if (isDeepStrictEqual(routing, routingOf(network))) return { entries: [] };
      return { entries: [{ type: 'network.put', network: withKeysFor({ ...network, routing }) }] };
    });
    reply.header('etag', entityTagOf(current()));
    return { routing: current(), sequence: wrote(request, events) ?? journal.config.sequence };
  };

  route(
    app,
    {
      method: 'GET',
      path: '/v1/routing',
      id: 'getRouting',
      summary: 'Zones of the routers, and overrides',
      admits: access.toNetwork('read'),
      answers: { 200: networkRoutingSchema, 304: null },
      conditional: true,
    },
    async (request, reply) => sendTagged(request, reply, current()),
  );

  route(
    app,
    {
      method: 'PUT',
      path: '/v1/routing',
      id: 'putRouting',
      summary: 'Replace the zones and overrides',
      admits: configures,
      body: networkRoutingSchema.meta({ title: 'routing' }),
      answers: { 200: answerSchema },
      conditional: true,
    },
    async (request, reply) => change(request, reply, () => request.body),
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/routing/ds',
      id: 'getDelegationSigners',
      summary: 'What the parents of signed zones are to be told',
      admits: access.toNetwork('read'),
      answers: { 200: delegationSignersSchema },
    },
    async () => ({ zones: delegationSigners(journal.config.network) }),
  );

  // What ACME's dns-01 needs (RFC 8555 §8.4), and anyone who proves that a name is theirs.
  route(
    app,
    {
      method: 'PUT',
      path: '/v1/routing/txt/:name',
      id: 'putTxt',
      summary: 'Set the TXT record of a name in one of the zones',
      admits: configures,
      params,
      body: txtSchema,
      answers: { 200: answerSchema },
      conditional: true,
    },
    async (request, reply) => {
      const { name } = request.params;
      const { values, ttlSeconds } = request.body;
      return change(request, reply, (routing) =>
        withTxtValues(routing, name, ttlSeconds, () => values),
      );
    },
  );

  route(
    app,
    {
      method: 'DELETE',
      path: '/v1/routing/txt/:name',
      id: 'deleteTxt',
      summary: 'Remove the TXT record of a name',
      admits: configures,
      params,
      answers: { 200: answerSchema },
      conditional: true,
    },
    async (request, reply) => {
      const { name } = request.params;
      return change(request, reply, (routing) => withTxtValues(routing, name, 0, () => []));
    },
  );
}

/**
 * Zones that can be served.
 * @throws InvalidInput for records outside their zone, names with a CNAME and more, two zones of one name, and
 * zones within signed ones
 */
function assertSound({ zones }: NetworkRouting): void {
  const issues: InputIssue[] = [];
  const complain = (path: string, expected: string, received: string): void =>
    void issues.push({ path, expected, received: JSON.stringify(received) });
  for (const [i, zone] of zones.entries()) {
    if (zones.findIndex(({ name }) => name === zone.name) !== i) {
      complain(`zones.${i}.name`, 'a zone that is not there already', zone.name);
    }
    const signed = zones.find(
      ({ name, dnssec }) => dnssec && name !== zone.name && isWithin(zone.name, { name }),
    );
    if (signed !== undefined) {
      // It would have to vouch for the other, and there is no delegation.
      complain(`zones.${i}.name`, `no zone within ${signed.name}, which is signed`, zone.name);
    }
    const types = Map.groupBy(zone.records, ({ name }) => name);
    for (const [at, { name, type }] of zone.records.entries()) {
      const path = `zones.${i}.records.${at}`;
      if (!isWithin(name.replace(/^\*\./, ''), zone)) {
        complain(`${path}.name`, `a name in ${zone.name}`, name);
      }
      // RFC 1034 §3.6.2; the zone itself has SOA and NS.
      const isAlone = name !== zone.name && types.get(name)?.length === 1;
      if (type === 'CNAME' && !isAlone) complain(`${path}.type`, 'no CNAME beside others', type);
    }
  }
  if (issues.length > 0) throw new InvalidInput('routing', issues);
}
