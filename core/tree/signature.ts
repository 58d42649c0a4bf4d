import { createHmac } from 'node:crypto';
import type { Fields } from '#core/http/fields.ts';

/** A key that an origin server shares, to know requests that come through the network. */
export interface SigningKey {
  readonly id: string;
  readonly secret: string;
}

export interface Signed {
  readonly method: string;
  /** As in `Host`. */
  readonly authority: string;
  /** Path and query. */
  readonly target: string;
}

/** A component's name, with its quotes, and its value (RFC 9421 §2). */
type Component = readonly [name: string, value: string];

/**
 * `Signature-Input` and `Signature` (RFC 9421) over method, authority, path and query, by
 * HMAC-SHA-256 under the label `canopy`.
 * @param now ms since the Unix epoch
 */
export function signatureFields(request: Signed, key: SigningKey, now: number): Fields {
  const components = componentsOf(request);
  const parameters = signatureParameters(components, key.id, Math.floor(now / 1000));
  const base = signatureBase(components, parameters);
  const digest = createHmac('sha256', key.secret).update(base).digest('base64');
  return ['Signature-Input', `canopy=${parameters}`, 'Signature', `canopy=:${digest}:`];
}

/** RFC 9421 §2.2; the query with its `?`, which stands alone where there is none (§2.2.7). */
function componentsOf({ method, authority, target }: Signed): readonly Component[] {
  const queryAt = target.indexOf('?');
  return [
    ['"@method"', method],
    ['"@authority"', authority.toLowerCase()],
    ['"@path"', queryAt === -1 ? target : target.slice(0, queryAt)],
    ['"@query"', queryAt === -1 ? '?' : target.slice(queryAt)],
  ];
}

const signatureParameters = (
  components: readonly Component[],
  keyId: string,
  createdSeconds: number,
): string =>
  `(${components.map(([name]) => name).join(' ')});created=${createdSeconds};keyid="${keyId}";alg="hmac-sha256"`;

/** RFC 9421 §2.5. */
export const signatureBase = (components: readonly Component[], parameters: string): string =>
  [...components, ['"@signature-params"', parameters] as const]
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');
