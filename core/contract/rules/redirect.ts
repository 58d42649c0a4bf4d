import { z } from 'zod';
import { secondsSchema } from '../names.ts';
import { captureIssue, isUrlTemplate, URL_VARIABLES } from './captures.ts';
import { pathGlobSchema } from './match.ts';

/** RFC 3986 characters, and what variables are written with. */
const URL_CHARACTERS = /^[\w\-.~:/?#[\]@!$&'()*+,;=%{}]*$/;
/** What a client says has no part in whom it is sent to, but for the host that it has asked. */
const AUTHORITY = String.raw`(?:[\w.-]|\$\{request\.host\})+(?::\d{1,5})?`;
const PATH_BEGINS = String.raw`(?=[/?#]|$|\$\{request\.(?:path|target)\})`;
const ABSOLUTE = new RegExp(
  String.raw`^(?:https?|\$\{request\.scheme\})://${AUTHORITY}${PATH_BEGINS}`,
);
const RELATIVE = /^(?:\/(?!\/)|\$\{request\.(?:path|target)\})/;
const PLACE = 'an http:// or https:// URL whose host is none that a client could choose, or a path';

const isPlace = (text: string): boolean => RELATIVE.test(text) || ABSOLUTE.test(text);

const destinationSchema = z
  .string()
  .max(2048)
  .regex(URL_CHARACTERS, 'characters of URLs only, others percent-encoded')
  .refine(isUrlTemplate, { message: URL_VARIABLES })
  .refine(isPlace, { message: PLACE });

const literalSchema = destinationSchema.refine((text) => !text.includes('${'), {
  message: 'no variables in a map',
});

const PATH = /^\/[\x21\x22\x24-\x7e]*$/;

/** Sends clients elsewhere: RFC 9110 §15.4. */
export const redirectSchema = z
  .strictObject({
    /** Paths with `*` and `**` as in `match.path`; what the wildcards stand for is `${1}`, `${2}`, … in `to`. Left out: every path. */
    from: pathGlobSchema.exactOptional(),
    /** A URL or a path, with variables. */
    to: destinationSchema.exactOptional(),
    /** Paths, with a query for that query only, and where each leads; looked up, however many there are. */
    exact: z
      .record(z.string().max(2048).regex(PATH, 'a path with / first'), literalSchema)
      .refine((map) => Object.keys(map).length <= 20_000, { message: 'at most 20000 paths' })
      .default({}),
    /** Beginnings of paths, and what stands in their place; the longest that fits. */
    prefix: z
      .record(
        z
          .string()
          .max(1024)
          .regex(/^\/(?:[\x21\x22\x24-\x3e\x40-\x7e]*\/)?$/, 'a path with / first and last'),
        literalSchema,
      )
      .refine((map) => Object.keys(map).length <= 20_000, { message: 'at most 20000 paths' })
      .default({}),
    status: z.literal([301, 302, 303, 307, 308]).default(302),
    /** Append the query of the request, unless `to` says it by itself. */
    keepQuery: z.boolean().default(true),
    /** How long the redirect itself may be stored by clients. Left out: nothing is said of it. */
    maxAgeSeconds: secondsSchema.exactOptional(),
  })
  .superRefine(({ from, to, exact, prefix }, context) => {
    const refuse = (message: string, path: string[] = []): void =>
      context.addIssue({ code: 'custom', path, message });
    const isMap = Object.keys(exact).length + Object.keys(prefix).length > 0;
    if ((to !== undefined) === isMap) refuse('either to, or exact and prefix');
    if (from !== undefined && to === undefined) refuse('to beside from', ['from']);
    if (to !== undefined) {
      const issue = captureIssue(to, from);
      if (issue !== undefined) refuse(issue, ['to']);
      if (to === from) refuse('another path than from', ['to']);
    }
    const circle = circleIn(exact);
    if (circle !== undefined) refuse('a path that does not lead back to itself', ['exact', circle]);
    for (const [start, place] of Object.entries(prefix)) {
      if (place.startsWith(start)) refuse('a path outside of the prefix', ['prefix', start]);
      // What follows the prefix is appended, and must not become a part of the host.
      if (!/^(?:https?:\/\/[^/]+)?\//.test(place)) refuse('a URL with a path', ['prefix', start]);
    }
  });

/** The first path of a map that leads back to itself. */
function circleIn(map: Readonly<Record<string, string>>): string | undefined {
  const ends = new Set<string>();
  for (const start of Object.keys(map)) {
    const seen = new Set<string>();
    let path: string | undefined = start;
    while (path !== undefined && Object.hasOwn(map, path) && !ends.has(path)) {
      if (seen.has(path)) return path;
      seen.add(path);
      path = map[path];
    }
    for (const each of seen) ends.add(each);
  }
  return undefined;
}

export type RedirectAction = z.output<typeof redirectSchema>;
