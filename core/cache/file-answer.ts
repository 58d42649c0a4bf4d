import { CanopyError } from '#core/errors.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { ByteRange } from '#core/http/ranges.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import { type Answer, selectStored } from './answer.ts';
import { BodyLost, type FileBody, READ_BYTES } from './disk/file-body.ts';
import { firstRange, isMultipart, readParts, returning } from './multipart-content.ts';
import { sizeOf, type StoredObject } from './object.ts';
import { sliceAnswer } from './policy/slicing.ts';

/** Answers that may be asked for, one after the other, to bring what was lost. */
const MAX_CONTINUATIONS = 8;

/** Asks a parent for some bytes of just this version. @throws CanopyError where none answers */
export type AskRange = (range: ByteRange) => Promise<UpstreamResponse>;

/**
 * The answer that an object on disk makes, begun only once its first bytes are there. What turns out
 * to be lost later is asked of a parent, where a strong validator tells that it is of the same
 * version (RFC 9110 §13.1.5); else the answer breaks off.
 * @param askRange left out: no parent is to be asked
 * @throws BodyLost where nothing of it can be read
 */
export async function answerFromFile(
  object: StoredObject<FileBody>,
  request: ClientRequest,
  now: number,
  askRange: AskRange | undefined,
): Promise<Pick<Answer, 'status' | 'fields' | 'content'>> {
  const { status, fields, part } = selectStored(object, request, now);
  if (part === 'none') return { status, fields, content: [] };
  const { start, end } = firstRange(part, sizeOf(object));
  if (!isMultipart(part) && end - start < READ_BYTES) {
    const from = object.part?.start ?? 0;
    return { status, fields, content: await object.body.readHeld(start - from, end - from) };
  }
  let reading: AsyncIterableIterator<Buffer>;
  const read = (range: ByteRange, isFirst = false): AsyncIterableIterator<Buffer> => {
    reading = mended(object, range, isFirst, askRange);
    return reading;
  };
  const first = read({ start, end }, true);
  const begun = startingWith(await first.next(), first);
  const content = isMultipart(part)
    ? returning(
        readParts(part, begun, (range) => read(range)),
        () => reading,
      )
    : begun;
  return { status, fields, content };
}

/** @param first what `rest` gave first */
function startingWith(
  first: IteratorResult<Buffer, undefined>,
  rest: AsyncIterableIterator<Buffer>,
): AsyncIterableIterator<Buffer> {
  let next: IteratorResult<Buffer, undefined> | undefined = first;
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next() {
      const result = next;
      next = undefined;
      return result === undefined ? rest.next() : Promise.resolve(result);
    },
    return: () => rest.return?.() ?? Promise.resolve({ done: true, value: undefined }),
  };
}

/** @param isFirst nothing of the answer is sent yet, so that it can be begun anew */
async function* mended(
  object: StoredObject<FileBody>,
  { start, end }: ByteRange,
  isFirst: boolean,
  askRange: AskRange | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const from = object.part?.start ?? 0;
  let next = start;
  try {
    for await (const chunk of object.body.read(start - from, end - from)) {
      next += chunk.length;
      yield chunk;
    }
  } catch (error) {
    const isVersionKnown = object.facts.etag?.startsWith('"') === true;
    const canBeginAnew = isFirst && next === start;
    if (!(error instanceof BodyLost) || canBeginAnew) throw error;
    if (!isVersionKnown || askRange === undefined) throw error;
    yield* continued(object, { start: next, end }, askRange);
  }
}

/** The bytes of a range from one parent after another. */
async function* continued(
  object: StoredObject,
  { start, end }: ByteRange,
  askRange: AskRange,
): AsyncGenerator<Buffer, void, undefined> {
  const size = sizeOf(object);
  let next = start;
  let failure: unknown;
  for (let answers = 0; answers < MAX_CONTINUATIONS && next <= end; answers++) {
    const asked = { start: next, end };
    const response = await askRange(asked);
    const kind = sliceAnswer({ size, sliceBytes: size }, object.facts.etag, asked, response);
    if (kind === 'failed' || kind === 'changed') {
      response.discard();
      throw new CanopyError('upstream-invalid', 'The object has changed while it was read');
    }
    let offset = kind === 'whole' ? 0 : next;
    try {
      for await (const chunk of response.body) {
        const wanted = chunk.subarray(Math.max(0, next - offset), end + 1 - offset);
        offset += chunk.length;
        next += wanted.length;
        if (wanted.length > 0) yield wanted;
        if (next > end) break;
      }
    } catch (error) {
      failure = error;
    } finally {
      response.discard();
    }
  }
  if (next <= end) {
    throw new CanopyError('upstream-invalid', 'No parent continues the object to its end', {
      cause: failure,
    });
  }
}
