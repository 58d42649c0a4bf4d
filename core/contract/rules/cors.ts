import { z } from 'zod';
import { secondsSchema } from '../names.ts';
import { TOKEN } from './match.ts';

/** An origin as browsers spell it: RFC 6454 §6.2, lower case, a port only where it is not the scheme's own. */
const ORIGIN =
  /^(?:\*|https?:\/\/(?:\*\.)?(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::(?:\d{1,5}|\*))?)$/;

const tokensSchema = z.array(z.string().max(128).regex(TOKEN, 'a name, or *')).max(100);

const WITH_ALL = { message: 'no *, which browsers take for a name where there are credentials' };

/** What pages of other origins may do: the CORS protocol, https://fetch.spec.whatwg.org/#http-cors-protocol */
export const corsSchema = z
  .strictObject({
    /** `https://app.example.org`, `https://*.example.org` for all subdomains, `:*` for any port; `*`: all. */
    origins: z
      .array(
        z.string().max(300).regex(ORIGIN, 'an origin such as https://www.example.org, without /'),
      )
      .min(1)
      .max(1000),
    /** Besides those that need no leave; `*`: all. */
    methods: tokensSchema.default(['GET', 'HEAD', 'POST']),
    /** Request fields that pages may set; `*`: all but `Authorization`. */
    headers: tokensSchema.default([]),
    /** Answer fields that pages may read; `*`: all. */
    exposedHeaders: tokensSchema.default([]),
    /** Whether requests come with cookies, and pages may read what those are answered. */
    credentials: z.boolean().default(false),
    /** How long browsers may remember what they were told before a request. */
    maxAgeSeconds: secondsSchema.default(600),
  })
  .superRefine((cors, context) => {
    if (!cors.credentials) return;
    for (const field of ['origins', 'methods', 'headers', 'exposedHeaders'] as const) {
      if (!cors[field].includes('*')) continue;
      context.addIssue({ code: 'custom', path: [field], ...WITH_ALL });
    }
  });

export type CorsAction = z.output<typeof corsSchema>;
