import type { CompressionSettings } from '#core/contract/compression.ts';
import {
  type Acceptance,
  acceptanceOf,
  type Coding,
  codingNamed,
} from '#core/http/content-coding.ts';
import { type Fields, fieldValue, listMembers, withoutFields } from '#core/http/fields.ts';

/** What of a response decides how it may be coded for clients. */
export interface Codable {
  /** The coding that it has; `other`: one that is not known here, or several. */
  readonly coding: Coding | 'identity' | 'other';
  /** The fields that it is sent with as it is: `Vary` says that others may get it otherwise. */
  readonly fields: Fields;
  /** It may be compressed, as far as its type and its size go. */
  readonly compressible: boolean;
  /** RFC 9111 §5.2.2.6: `no-transform` is not said. */
  readonly transformable: boolean;
}

/** What is done to content for one client. */
export type CodingPlan =
  | 'as-is'
  /** It cannot be made acceptable here, so the origin is asked for what the client takes. */
  | 'ask-origin'
  | { readonly decode: Coding | undefined; readonly encode: Coding | undefined };

/** A site's settings, made ready. */
export interface CodingPolicy {
  readonly settings: CompressionSettings;
  readonly acceptance: (acceptEncoding: string | undefined) => Acceptance;
  /** Remembered for header sections that come again. @param size bytes of content, where known */
  readonly codable: (status: number, fields: Fields, size: number | undefined) => Codable;
}

/** What edges of a site that compresses send upstream, so that one object does for all clients. */
export const ALL_CODINGS = 'zstd, br, gzip';

/** Values of `Accept-Encoding` of which the outcome is remembered; browsers send a handful. */
const REMEMBERED = 256;

/** Statuses whose content is worth it: errors that carry pages among them. */
const STATUSES: ReadonlySet<number> = new Set([200, 203, 403, 404, 410]);

/** @returns `undefined` where the site does not compress */
export function codingPolicy(settings: CompressionSettings): CodingPolicy | undefined {
  if (!settings.enabled) return undefined;
  const remembered = new Map<string, Acceptance>();
  const types = new Set(settings.types.filter((type) => !type.endsWith('/*')));
  const kinds = settings.types
    .filter((type) => type.endsWith('/*'))
    .map((type) => type.slice(0, -1));
  const isCompressible = (type: string): boolean =>
    type !== 'text/event-stream' &&
    (types.has(type) || kinds.some((kind) => type.startsWith(kind)));
  const judge = (status: number, fields: Fields, size: number | undefined): Codable => {
    const coding = codingOf(fields);
    const { minBytes, maxBytes } = settings;
    const fits = size === undefined || (size >= minBytes && size <= maxBytes);
    const directives = listMembers(fieldValue(fields, 'cache-control'));
    const transformable = !directives.includes('no-transform');
    const compressible =
      transformable &&
      coding !== 'other' &&
      STATUSES.has(status) &&
      isCompressible(mediaType(fieldValue(fields, 'content-type'))) &&
      (fits || coding !== 'identity');
    const depends = compressible || !(coding === 'identity' || coding === 'other');
    const sent = depends ? varyingBy(fields, 'Accept-Encoding') : fields;
    return { coding, fields: sent, compressible, transformable };
  };
  const judged = new WeakMap<Fields, Codable>();
  return {
    settings,
    acceptance(acceptEncoding = '') {
      const known = remembered.get(acceptEncoding);
      if (known !== undefined) return known;
      const acceptance = acceptanceOf(acceptEncoding, settings.codings);
      if (remembered.size >= REMEMBERED) remembered.clear();
      remembered.set(acceptEncoding, acceptance);
      return acceptance;
    },
    codable(status, fields, size) {
      let codable = judged.get(fields);
      if (codable === undefined) judged.set(fields, (codable = judge(status, fields, size)));
      return codable;
    },
  };
}

const mediaType = (contentType = ''): string =>
  (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();

function codingOf(fields: Fields): Codable['coding'] {
  const [coding = 'identity', ...more] = listMembers(fieldValue(fields, 'content-encoding'));
  if (more.length > 0) return 'other';
  return coding === 'identity' ? coding : (codingNamed(coding) ?? 'other');
}

/** @param isWhole it is all there, or will be: nothing is made of parts */
export function codingPlan(
  {
    coding,
    compressible,
    transformable,
  }: Pick<Codable, 'coding' | 'compressible' | 'transformable'>,
  { best, accepted, isForOrigin = false }: Acceptance,
  isWhole: boolean,
): CodingPlan {
  if (coding === 'other') return 'as-is';
  const encode = compressible && best !== 'identity' ? best : undefined;
  if (coding === 'identity') {
    return encode === undefined || !isWhole ? 'as-is' : { decode: undefined, encode };
  }
  if (accepted.has(coding)) return 'as-is';
  return transformable && isWhole && !isForOrigin ? { decode: coding, encode } : 'ask-origin';
}

/** What says of the bytes that were sent what does not hold of those that are made of them. */
const OF_THE_BYTES: ReadonlySet<string> = new Set([
  'accept-ranges',
  'content-digest',
  'content-encoding',
  'content-length',
  'content-md5',
  'digest',
  'etag',
  'repr-digest',
]);

/** The fields of what is made of a representation, but for those that say of its bytes. */
export const fieldsOfMade = (fields: Fields): string[] =>
  withoutFields(fields, (name) => OF_THE_BYTES.has(name));

/** @param name as it is written into `Vary`, unless that has it already */
export function varyingBy(fields: Fields, name: string): Fields {
  const vary = fieldValue(fields, 'vary');
  const members = listMembers(vary);
  if (members.includes('*') || members.includes(name.toLowerCase())) return fields;
  return [
    ...withoutFields(fields, (other) => other === 'vary'),
    'Vary',
    members.length === 0 ? name : `${vary}, ${name}`,
  ];
}
