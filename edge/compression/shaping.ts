import type { CacheEngine } from '#core/cache/engine.ts';
import { type HeldObject, isHeld } from '#core/cache/object.ts';
import type { CodingPolicy } from '#core/cache/policy/coding.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import type { Shaping } from '#core/cache/shaping.ts';
import type { Acceptance } from '#core/http/content-coding.ts';
import { listedTags, sourceTag } from '#core/http/coded-tag.ts';
import { type Fields, fieldValue, listMembers, withField } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { forwardedFields, type ForwardedBy } from '#core/tree/forward.ts';
import { Coder, type Wish } from './coder.ts';

const coders = new WeakMap<CacheEngine, Coder>();

function coderOf(engine: CacheEngine): Coder {
  let coder = coders.get(engine);
  if (coder === undefined) coders.set(engine, (coder = new Coder(engine)));
  return coder;
}

/**
 * How a client's answers are compressed or unpacked for it; `undefined`: not at all.
 * @param asked as the client sent it
 * @param mayCompress a rule has it otherwise where not
 */
export function compressionFor(
  { forwardedBy }: { readonly forwardedBy: ForwardedBy },
  { coding: policy }: ServedSite,
  asked: ClientRequest,
  mayCompress: boolean,
): Shaping | undefined {
  if (policy === undefined) return undefined;
  const acceptEncoding = fieldValue(asked.fields, 'accept-encoding');
  const taken = policy.acceptance(acceptEncoding);
  // RFC 9111 §5.2.1.6.
  const isForOrigin = forbidsTransformation(asked.fields);
  const acceptance: Acceptance =
    mayCompress && !isForOrigin ? taken : { ...taken, best: 'identity', isForOrigin };
  const wish: Wish = { policy, acceptance };
  const passed: Shaping['passed'] = (engine, lookup, answer) => {
    if (answer.status === 304)
      return { ...answer, fields: withClientsTag(answer.fields, asked.fields) };
    return coderOf(engine).passed(lookup, answer, wish);
  };
  const shaping: Shaping = {
    stored: (engine, lookup, source) => coderOf(engine).stored(lookup, source, wish),
    arriving: (engine, lookup, source, fields) =>
      coderOf(engine).arriving(lookup, source, fields, wish),
    passed,
    asAsked: (lookup) => {
      const request = {
        ...lookup.request,
        fields: withField(lookup.request.fields, 'Accept-Encoding', acceptEncoding),
      };
      return {
        ...lookup,
        request,
        upstreamFields: () => forwardedFields(request, forwardedBy),
        // An origin that minds no `Accept-Encoding` is not asked a third time.
        shaping: {
          ...shaping,
          passed(engine, ofAsked, answer) {
            const suited = passed(engine, ofAsked, answer);
            return suited === 'ask-origin' ? answer : suited;
          },
        },
      };
    },
  };
  return shaping;
}

/**
 * What a client gets of a whole object in memory without anything being made for it, as `compressionFor`
 * has it for a request that says nothing of transformations.
 * @param acceptEncoding of the client
 */
export function readyFor(
  engine: CacheEngine,
  policy: CodingPolicy,
  acceptEncoding: string | undefined,
  source: HeldObject,
): HeldObject | undefined {
  const wish = { policy, acceptance: policy.acceptance(acceptEncoding) };
  const ready = coderOf(engine).ready(source, wish);
  return ready !== undefined && isHeld(ready) ? ready : undefined;
}

const forbidsTransformation = (fields: Fields): boolean =>
  listMembers(fieldValue(fields, 'cache-control')).includes('no-transform');

/** A 304 names what the client has, of which the origin only knows the source. */
function withClientsTag(fields: Fields, asked: Fields): Fields {
  const etag = fieldValue(fields, 'etag');
  const list = fieldValue(asked, 'if-none-match');
  if (etag === undefined || list === undefined) return fields;
  const tags = listedTags(list);
  if (tags.some((tag) => opaque(tag) === opaque(etag))) return fields;
  const own = tags.find((tag) => opaque(sourceTag(tag)) === opaque(etag));
  return own === undefined ? fields : withField(fields, 'ETag', own);
}

const opaque = (tag: string): string => tag.replace(/^W\//, '');
