import { fastify, type FastifyInstance, LogController } from 'fastify';
import type { Logger } from 'pino';
import { backupRoutes } from './backup.ts';
import { configRoutes } from './config.ts';
import type { ApiCounters } from './counters.ts';
import { explainRoutes } from './explain.ts';
import { journalRoutes } from './journal.ts';
import { networkRoutes } from './network.ts';
import { nodeLinkRoutes } from './node-link.ts';
import { nodeRoutes } from './nodes.ts';
import { objectRoutes } from './objects.ts';
import { notFound, refuseConnection, sendProblem } from './problem.ts';
import { purgeRoutes } from './purges.ts';
import { routingRoutes } from './routing.ts';
import type { Services } from './services.ts';
import { siteRoutes } from './sites.ts';
import { standingRoutes } from './standings.ts';
import { tokenRoutes } from './tokens.ts';

const BODY_LIMIT_BYTES = 1024 * 1024;

/** Longest path parameter: an object's path is one. */
const LONGEST_PARAMETER = 16_384;

/** The HTTP API. */
export function buildApp(services: Services, counters: ApiCounters, log: Logger): FastifyInstance {
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: LONGEST_PARAMETER },
    frameworkErrors: sendProblem,
    clientErrorHandler: refuseConnection,
  }) as unknown as FastifyInstance;
  app.decorateRequest('token', undefined);
  app.decorateRequest('node', undefined);
  app.addHook('onResponse', async ({ method, routeOptions }, { statusCode }) =>
    counters.record(method, routeOptions.url, statusCode),
  );
  app.setErrorHandler(sendProblem);
  app.setNotFoundHandler(notFound);
  for (const routes of [
    journalRoutes,
    networkRoutes,
    siteRoutes,
    configRoutes,
    nodeRoutes,
    tokenRoutes,
    purgeRoutes,
    backupRoutes,
    routingRoutes,
    explainRoutes,
    standingRoutes,
  ]) {
    routes(app, services);
  }
  nodeLinkRoutes(app, services);
  // A scope of its own, for it takes bodies of any type as streams.
  void app.register(async (scope) => objectRoutes(scope, services));
  return app;
}
