import { type Fields, hasField, withoutFields } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { Multipart } from '#core/http/multipart.ts';
import type { ByteRange } from '#core/http/ranges.ts';
import { type Selection, select, type Whole } from '#core/http/selection.ts';
import type { Outcome } from '#core/telemetry/cache-status.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import { isTierField } from '#core/tree/tier-fields.ts';
import type { Tunnel } from '#core/tree/tunnel.ts';
import type { Arriving } from './fill.ts';
import {
  heldParts,
  isAscending,
  isMultipart,
  newBoundary,
  passingParts,
  returning,
} from './multipart-content.ts';
import { type HeldObject, type Sliced, sizeOf, type StoredObject } from './object.ts';
import type { Streamed } from './shaping.ts';
import { currentAgeMs } from './policy/decide.ts';

/** What a request is answered with, before the tier adds what it says of itself. */
export interface Answer {
  readonly status: number;
  /** End-to-end fields. */
  readonly fields: Fields;
  /** Content held whole, or as it arrives. */
  readonly content: readonly Buffer[] | AsyncIterable<Buffer>;
  /** Where a parent has switched protocols, what goes on in place of content. */
  readonly tunnel?: Tunnel | undefined;
  /** The slices that it comes from. */
  readonly sliced?: Sliced | undefined;
  readonly outcome: Outcome;
  /** The fence up to which the content has heeded every purge. */
  readonly asOf: number;
}

const NO_CONTENT: readonly Buffer[] = [];

export function answerFromStored(
  object: HeldObject,
  request: ClientRequest,
  now: number,
): Pick<Answer, 'status' | 'fields' | 'content'> {
  const { status, fields, part } = selectStored(object, request, now);
  return { status, fields, content: heldContent(object, part) };
}

/** What of a stored object answers a request, with the fields that are sent. */
export function selectStored(object: StoredObject, request: ClientRequest, now: number): Selection {
  const { facts } = object;
  const size = sizeOf(object);
  const stored = { status: facts.status, fields: object.fields, size };
  const { status, fields, part } = select(request.method, request.fields, stored, newBoundary);
  const whole = status === facts.status && status !== 204;
  const age = Math.floor(currentAgeMs(object, now) / 1000);
  return {
    status,
    fields: [...(whole ? withContentLength(fields, size) : fields), 'Age', String(age)],
    part,
  };
}

function heldContent({ body, part: held }: HeldObject, part: Selection['part']): readonly Buffer[] {
  if (part === 'none') return NO_CONTENT;
  if (part === 'all') return body.chunks;
  const offset = held?.start ?? 0;
  const slice = ({ start, end }: ByteRange): readonly Buffer[] =>
    body.slice(start - offset, end - offset);
  return isMultipart(part) ? heldParts(part, slice) : slice(part);
}

/** A body that came without a length has one once it is stored. */
const withContentLength = (fields: Fields, size: number): Fields =>
  hasField(fields, 'content-length') ? fields : [...fields, 'Content-Length', String(size)];

/** @param shared the answer is to another's request, so that fields meant for that one are left out */
export const arrivingFields = (arriving: Arriving, shared: boolean, now: number): Fields =>
  shared ? aged(sharedFields(arriving), arriving, now) : arriving.fields;

/** @param sent see `arrivingFields` */
export function answerFromArriving(
  arriving: Arriving,
  request: ClientRequest,
  sent: Fields,
): Pick<Answer, 'status' | 'fields' | 'content'> {
  const { status, fields, part } = selectArriving(request, { ...arriving, fields: sent });
  const reader = arriving.body.read();
  if (part === 'none') {
    void reader.return?.();
    return { status, fields, content: NO_CONTENT };
  }
  return { status, fields, content: part === 'all' ? reader : partsOf(reader, part) };
}

/** What is made while it is sent has no length yet, so it is answered whole. */
export function answerFromStreamed({
  status,
  fields,
  content,
  release,
  request,
}: Streamed): Pick<Answer, 'status' | 'fields' | 'content'> {
  const selection = select(request.method, request.fields, { status, fields, size: undefined });
  if (selection.part === 'all') return { ...selection, content: content() };
  release();
  return { ...selection, content: NO_CONTENT };
}

/** Ranges asked in another order than they come in would be held up, so they are answered whole. */
function selectArriving({ method, fields }: ClientRequest, whole: Whole): Selection {
  const selection = select(method, fields, whole, newBoundary);
  const { part } = selection;
  return isMultipart(part) && !isAscending(part) ? select(method, fields, whole) : selection;
}

const partsOf = (
  reader: AsyncIterableIterator<Buffer>,
  part: ByteRange | Multipart,
): AsyncIterableIterator<Buffer> =>
  returning(isMultipart(part) ? passingParts(part, reader) : cut(reader, part), () => reader);

/** Who joins late is told how old the answer has become. */
const aged = (fields: Fields, arriving: Arriving, now: number): Fields => [
  ...withoutFields(fields, (name) => name === 'age'),
  'Age',
  String(Math.floor(currentAgeMs(arriving, now) / 1000)),
];

/** The fields of a response that more than one client may see, RFC 9111 §5.2.2.4 and §5.2.2.7. */
export function sharedFields({ fields, facts }: Pick<Arriving, 'fields' | 'facts'>): Fields {
  const { unsharedFields } = facts.directives;
  if (unsharedFields.length === 0) return fields;
  return withoutFields(fields, (name) => unsharedFields.includes(name));
}

/** A parent's answer to one client alone, as it came. */
export function answerFromUpstream(
  response: UpstreamResponse,
): Pick<Answer, 'status' | 'fields' | 'content' | 'tunnel'> {
  return {
    status: response.status,
    fields: withoutFields(response.fields, isTierField),
    content: response.body,
    tunnel: response.tunnel,
  };
}

/** The bytes of a range of a content that is read from its first byte. */
async function* cut(
  content: AsyncIterable<Buffer>,
  { start, end }: ByteRange,
): AsyncGenerator<Buffer, void, undefined> {
  let offset = 0;
  for await (const chunk of content) {
    const from = Math.max(start - offset, 0);
    const to = Math.min(end + 1 - offset, chunk.length);
    if (from < to) yield chunk.subarray(from, to);
    offset += chunk.length;
    if (offset > end) return;
  }
}
