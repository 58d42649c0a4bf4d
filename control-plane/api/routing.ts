import type { FastifyInstance } from 'fastify';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Network } from '#core/contract/event.ts';
import {
  DEFAULT_NETWORK_ROUTING,
  dnsNameSchema,
  type NetworkRouting,
  networkRoutingSchema,
  type Zone,
} from '#core/contract/routing.ts';
import { type InputIssue, InvalidInput, validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import type { Services } from './services.ts';

interface TxtRoute {
  readonly Params: { readonly name: string };
}

const txtSchema = z.strictObject({
  values: z.array(z.string().max(4096)).min(1).max(100),
  ttlSeconds: z.int().min(0).max(604_800).default(60),
});

/** The zones of the routers, and the operator's overrides. */
export function routingRoutes(app: FastifyInstance, { access, journal }: Services): void {
  const current = (): NetworkRouting => routingOf(journal.config.network);
  const change = async (next: (routing: NetworkRouting) => NetworkRouting): Promise<object> => {
    await journal.change(({ network }) => {
      const routing = next(routingOf(network));
      assertSound(routing);
      if (isDeepStrictEqual(routing, routingOf(network))) return { entries: [] };
      return { entries: [{ type: 'network.put', network: { ...network, routing } }] };
    });
    return { routing: current(), sequence: journal.config.sequence };
  };

  app.route({
    method: 'GET',
    url: '/v1/routing',
    onRequest: access.toNetwork('read'),
    handler: async () => current(),
  });

  app.route({
    method: 'PUT',
    url: '/v1/routing',
    onRequest: access.toNetwork('configure'),
    handler: async (request) => {
      const routing = validate(networkRoutingSchema, request.body, 'routing');
      return change(() => routing);
    },
  });

  // What ACME's dns-01 needs (RFC 8555 §8.4), and anyone who proves that a name is theirs.
  app.route<TxtRoute>({
    method: 'PUT',
    url: '/v1/routing/txt/:name',
    onRequest: access.toNetwork('configure'),
    handler: async (request) => {
      const name = validate(dnsNameSchema, request.params.name.toLowerCase(), 'name');
      const { values, ttlSeconds } = validate(txtSchema, request.body, 'TXT record');
      return change((routing) =>
        inZoneOf(name, routing, (zone) => ({
          ...zone,
          records: [...withoutTxt(zone, name), { name, type: 'TXT', ttlSeconds, values }],
        })),
      );
    },
  });

  app.route<TxtRoute>({
    method: 'DELETE',
    url: '/v1/routing/txt/:name',
    onRequest: access.toNetwork('configure'),
    handler: async (request) => {
      const name = request.params.name.toLowerCase();
      return change((routing) =>
        inZoneOf(name, routing, (zone) => ({ ...zone, records: withoutTxt(zone, name) })),
      );
    },
  });
}

const routingOf = ({ routing }: Network): NetworkRouting => routing ?? DEFAULT_NETWORK_ROUTING;

const withoutTxt = ({ records }: Zone, name: string): Zone['records'] =>
  records.filter((record) => record.name !== name || record.type !== 'TXT');

/** @throws CanopyError `not-found` if the name is of none of our zones */
function inZoneOf(
  name: string,
  routing: NetworkRouting,
  change: (zone: Zone) => Zone,
): NetworkRouting {
  const zones = routing.zones.filter((zone) => isWithin(name, zone));
  const zone = zones.toSorted((a, b) => b.name.length - a.name.length)[0];
  if (zone === undefined) throw new CanopyError('not-found', `No zone here has the name ${name}`);
  return {
    ...routing,
    zones: routing.zones.map((one) => (one === zone ? change(one) : one)),
  };
}

const isWithin = (name: string, zone: Pick<Zone, 'name'>): boolean =>
  name === zone.name || name.endsWith(`.${zone.name}`);

/**
 * Zones that can be served.
 * @throws InvalidInput for records outside their zone, names with a CNAME and more, and two zones of one name
 */
function assertSound({ zones }: NetworkRouting): void {
  const issues: InputIssue[] = [];
  const complain = (path: string, expected: string, received: string): void =>
    void issues.push({ path, expected, received: JSON.stringify(received) });
  for (const [i, zone] of zones.entries()) {
    if (zones.findIndex(({ name }) => name === zone.name) !== i) {
      complain(`zones.${i}.name`, 'a zone that is not there already', zone.name);
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
