import { parseDate } from '#core/http/dates.ts';
import {
  parseDeltaSeconds,
  type ResponseDirectives,
  responseDirectives,
} from '#core/http/directives.ts';
import { statedMediaType } from '#core/http/media-type.ts';
import { tagsOf } from '#core/http/tags.ts';
import { targetedDirectives } from '#core/http/targeted.ts';
import { type Fields, fieldLines, fieldValue, hasField, listMembers } from '#core/http/fields.ts';

/** All that caching policy reads of a response, parsed once when its header section has come. */
export interface ResponseFacts {
  readonly status: number;
  /** Of the targeted field that is meant for us, else of `Cache-Control`. */
  readonly directives: ResponseDirectives;
  /** `directives` are of a targeted field. */
  readonly targeted: boolean;
  /** `Date`, or when the response came where it has none (RFC 9110 §6.6.1); ms since the epoch. */
  readonly dateMs: number;
  /** `Expires`; 0 where it cannot be read, which means already stale (RFC 9111 §5.3). */
  readonly expiresMs: number | undefined;
  readonly ageSeconds: number;
  readonly lastModifiedMs: number | undefined;
  readonly etag: string | undefined;
  /** Lower-case names in `Vary`; `*` alone if it is among them. */
  readonly vary: readonly string[];
  /** Not where the origin names `Set-Cookie` as a field that is not to be shared. */
  readonly setsCookie: boolean;
  /** The media type in lower case, without parameters; `''` where none is stated. */
  readonly contentType: string;
  /** Surrogate keys; `undefined` where there are too many to keep. */
  readonly tags: readonly string[] | undefined;
}

/** @param receivedAt when the header section came, ms since the epoch */
export function responseFacts(status: number, fields: Fields, receivedAt: number): ResponseFacts {
  const date = fieldValue(fields, 'date');
  const expires = fieldLines(fields, 'expires')[0];
  const lastModified = fieldValue(fields, 'last-modified');
  const targeted = targetedDirectives(fields);
  const directives = targeted ?? responseDirectives(fields);
  const vary = listMembers(fieldValue(fields, 'vary'));
  return {
    status,
    directives,
    targeted: targeted !== undefined,
    dateMs: (date === undefined ? undefined : parseDate(date, receivedAt)) ?? receivedAt,
    // RFC 9213 §2.2: beside a targeted field, Expires says nothing to us.
    expiresMs:
      expires === undefined || targeted !== undefined
        ? undefined
        : (parseDate(expires, receivedAt) ?? 0),
    // The first of several, RFC 9111 §5.1; one that cannot be read is ignored.
    ageSeconds: parseDeltaSeconds(fieldValue(fields, 'age')?.split(',')[0]) ?? 0,
    lastModifiedMs: lastModified === undefined ? undefined : parseDate(lastModified, receivedAt),
    etag: fieldValue(fields, 'etag'),
    vary: vary.includes('*') ? ['*'] : [...new Set(vary)].toSorted(),
    setsCookie: hasField(fields, 'set-cookie') && !directives.unsharedFields.includes('set-cookie'),
    contentType: statedMediaType(fieldValue(fields, 'content-type')),
    tags: tagsOf(fields),
  };
}
