import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { CanopyError } from '#core/errors.ts';

/** Where `deploy/dashboard.ts` puts it. */
const BUILT = fileURLToPath(new URL('../dashboard/built', import.meta.url));

/** The dashboard runs what this server serves, asks this server alone, and is shown in no frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const FIELDS = {
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** Files of these names have a digest in them. */
const ASSETS = 'assets/';
const ENTRY = 'index.html';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Serves people, and is no part of the API. */
    readonly isPage?: true;
  }
}

/** Serves the dashboard below `/dashboard/`; who asks for the root is sent there. */
export async function dashboardRoutes(app: FastifyInstance, built = BUILT): Promise<void> {
  const config = { isPage: true } as const;
  app.get('/', { config }, async (_request, reply) => reply.redirect('dashboard/'));
  app.get('/dashboard', { config }, async (_request, reply) => reply.redirect('dashboard/'));
  const isBuilt = existsSync(built);
  if (isBuilt) await app.register(fastifyStatic, { root: built, serve: false });
  app.get('/dashboard/*', { config }, async (request, reply) => {
    if (!isBuilt) {
      throw new CanopyError(
        'not-found',
        'The dashboard is not built: run `npm run build:dashboard`',
      );
    }
    const { '*': path } = request.params as { readonly '*': string };
    return sent(reply, path === '' ? ENTRY : path);
  });
}

function sent(reply: FastifyReply, path: string): FastifyReply {
  const caching = path.startsWith(ASSETS)
    ? { maxAge: '1y', immutable: true }
    : { maxAge: 0, immutable: false };
  return reply.headers(FIELDS).sendFile(path, caching);
}
