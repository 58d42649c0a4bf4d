import { ERRORS } from '#core/errors.ts';
import { CACHE_RESULTS } from './cache-result.ts';

/**
 * The values that a label can have. Each makes series of its own, so that clients may have no say
 * in them: no label is a host, a path or an address.
 */
export interface Label {
  readonly values: RegExp;
  /** So many at most; `configured`: one for each that the operator has made. */
  readonly most: number | 'configured';
}

const oneOf = (...values: readonly string[]): Label => ({
  values: new RegExp(`^(?:${values.join('|')})$`),
  most: values.length,
});
const upTo = (most: Label['most'], values: RegExp): Label => ({ values, most });

/** As the operator names things; with `_` first, what stands for others. */
const NAME = /^(?:[a-z0-9][a-z0-9._-]*|_other|_none)$/;
/** Of words that are listed elsewhere, in types that know no others. */
const WORD = /^[a-z][a-z-]*$/;

export const LABELS = {
  tier: oneOf('edge', 'mid-tier', 'origin', 'router', 'control-plane'),
  /** The process's own. */
  name: upTo(1, NAME),
  version: upTo(2, /^(?:TLSv1\.[23]|\d+\.\d+\.\d+\S*)$/),
  /** 100 by name, see `MAX_SITES`. */
  site: upTo(102, NAME),
  cache: oneOf(...CACHE_RESULTS),
  status: upTo(600, /^[1-5](?:xx|\d\d)$/),
  protocol: oneOf('HTTP/1.0', 'HTTP/1.1', 'HTTP/2.0'),
  resumed: oneOf('yes', 'no'),
  why: oneOf('busy', 'failed'),
  action: oneOf('serve', 'refresh-behind', 'revalidate', 'fill', 'pass', 'refuse'),
  reason: upTo(50, WORD),
  code: oneOf(...Object.keys(ERRORS)),
  /** 200 by name or URL, as the configuration has them. */
  parent: upTo(201, /^(?:_other|[a-z0-9][a-z0-9._-]*|https?:\/\/[^\s/]+)$/),
  result: upTo(50, /^(?:[1-5]xx|[a-z][a-z-]*)$/),
  store: oneOf('memory', 'disk'),
  /** One in each store. */
  policy: upTo(2, /^[a-z0-9-]+$/),
  error: upTo(100, /^(?:[A-Z][A-Z0-9_]*|index)$/),
  operation: oneOf('lookup', 'read', 'write', 'commit'),
  thread: upTo(256, /^\d{1,3}$/),
  transport: oneOf('udp', 'tcp'),
  type: upTo(50, /^(?:[A-Z0-9]+|_other)$/),
  rcode: upTo(20, /^[A-Z]+$/),
  how: oneOf('dropped', 'truncated'),
  condition: upTo(20, WORD),
  state: oneOf('in-service', 'lease-ended', 'unseen'),
  node: upTo('configured', NAME),
  certificate: upTo('configured', NAME),
  /** Of the API's own routes; other methods than theirs have none. */
  method: oneOf('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', '_none'),
  route: upTo(200, /^(?:_none|\*|\/[\w/:.*-]*)$/),
} as const satisfies Record<string, Label>;

export type LabelName = keyof typeof LABELS;
