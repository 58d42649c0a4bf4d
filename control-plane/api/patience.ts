import { PassThrough } from 'node:stream';
import type { preParsingHookHandler } from 'fastify';
import type { Clock } from '#core/clock.ts';
import { CanopyError } from '#core/errors.ts';
import { isSchema } from './route.ts';

/** How long content that is read whole may take; uploads of objects take as long as they take. */
const CONTENT_TIMEOUT_MS = 30_000;

/** Refuses content that does not arrive in time, so that nobody holds a request open by sending nothing. */
export const contentInTime =
  (clock: Clock): preParsingHookHandler =>
  ({ routeOptions }, _, content, done) => {
    if (!isSchema(routeOptions.config.declaration?.body)) return done(null, content);
    const timed = new PassThrough();
    const cancel = clock.after(CONTENT_TIMEOUT_MS, () => {
      content.unpipe(timed);
      timed.destroy(
        new CanopyError('request-timeout', `Content has to arrive in ${CONTENT_TIMEOUT_MS} ms`),
      );
    });
    content.pipe(timed);
    content.once('close', () => {
      cancel();
      // A pipe does not pass on that its source broke off.
      if (!content.readableEnded)
        timed.destroy(new CanopyError('invalid-request', 'Content was cut'));
    });
    done(null, timed);
  };
