import { fastify, type FastifyInstance, LogController } from 'fastify';
import type { Logger } from 'pino';
import { TrustedProxies } from '#core/serving/client-address.ts';
import { Ids } from '../ids.ts';
import type { KeyPair } from '../tls.ts';
import { acmeRoutes } from './acme.ts';
import { auditRoutes, keepAudit } from './audit.ts';
import { backupRoutes } from './backup.ts';
import { certificateRoutes } from './certificates.ts';
import { configRoutes } from './config.ts';
import { dashboardRoutes } from './dashboard.ts';
import type { ApiCounters } from './counters.ts';
import { explainRoutes } from './explain.ts';
import { explainRequestRoutes } from './explain-requests.ts';
import { journalRoutes } from './journal.ts';
import { latencyRoutes } from './latencies.ts';
import { networkRoutes } from './network.ts';
import { nodeLinkRoutes } from './node-link.ts';
import { nodeRoutes } from './nodes.ts';
import { objectRoutes } from './objects.ts';
import { openApiRoutes } from './openapi.ts';
import { enrolmentRoutes } from './enrolments.ts';
import { contentInTime } from './patience.ts';
import { notFound, refuseConnection, sendProblem } from './problem.ts';
import { purgeRoutes } from './purges.ts';
import { pushRoutes } from './pushes.ts';
import { releaseRoutes } from './releases.ts';
import { checkedBy, type Declaration } from './route.ts';
import { routingRoutes } from './routing.ts';
import type { Services } from './services.ts';
import { siteRoutes } from './sites.ts';
import { standingRoutes } from './standings.ts';
import { tokenRoutes } from './tokens.ts';
import { trafficRoutes } from './traffic.ts';

const BODY_LIMIT_BYTES = 1024 * 1024;

/** Longest path parameter: an object's path is one. */
const LONGEST_PARAMETER = 16_384;

export interface AppOptions {
  readonly counters: ApiCounters;
  readonly log: Logger;
  /** Addresses or networks of proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies?: readonly string[];
  /** Without it plain HTTP. */
  readonly tls?: KeyPair | undefined;
}

/** The HTTP API. */
export function buildApp(services: Services, options: AppOptions): FastifyInstance {
  const { counters, log, trustedProxies = [], tls } = options;
  const ids = new Ids(services.clock);
  const proxies = new TrustedProxies(trustedProxies);
  const app = fastify({
    ...(tls !== undefined && { https: { ...tls, minVersion: 'TLSv1.2' } }),
    loggerInstance: log,
    genReqId: () => ids.next(),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: LONGEST_PARAMETER },
    frameworkErrors: sendProblem,
    clientErrorHandler: refuseConnection,
  }) as unknown as FastifyInstance;
  app.decorateRequest('token', undefined);
  app.decorateRequest('node', undefined);
  app.decorateRequest('address', '');
  app.addHook('onRequest', async (request, reply) => {
    const { socket, rawHeaders } = request.raw;
    request.address = proxies.client(socket.remoteAddress ?? '', rawHeaders).address;
    reply.header('x-request-id', request.id);
    // Also when the client goes without its answer, which `onResponse` would not tell.
    reply.raw.once('close', () => services.access.leave(request));
  });
  app.addHook('onResponse', async (request, { statusCode }) => {
    counters.record(request.method, request.routeOptions.url, statusCode);
  });
  app.addHook('preParsing', contentInTime(services.clock));
  keepAudit(app, services);
  const declarations = new Set<Declaration>();
  app.addHook('onRoute', ({ url, config }) => {
    if (config?.isPage === true) return;
    if (config?.declaration === undefined) throw new Error(`Route ${url} is not declared`);
    // One for GET brings one for HEAD, of the same declaration.
    declarations.add(config.declaration);
  });
  app.setValidatorCompiler(checkedBy);
  app.setErrorHandler(sendProblem);
  app.setNotFoundHandler(notFound);
  for (const routes of [
    journalRoutes,
    networkRoutes,
    siteRoutes,
    configRoutes,
    nodeRoutes,
    certificateRoutes,
    acmeRoutes,
    tokenRoutes,
    auditRoutes,
    enrolmentRoutes,
    purgeRoutes,
    pushRoutes,
    releaseRoutes,
    backupRoutes,
    routingRoutes,
    explainRoutes,
    explainRequestRoutes,
    standingRoutes,
    latencyRoutes,
    trafficRoutes,
  ]) {
    routes(app, services);
  }
  nodeLinkRoutes(app, services);
  openApiRoutes(app, declarations);
  void app.register(async (scope) => dashboardRoutes(scope));
  // A scope of its own, for it takes bodies of any type as streams.
  void app.register(async (scope) => objectRoutes(scope, services));
  return app;
}
