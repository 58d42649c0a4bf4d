import type { Fields } from './fields.ts';

/** What a site says of TLS, see `TlsSettings`. */
interface Secured {
  readonly hsts: {
    readonly maxAgeSeconds: number;
    readonly includeSubdomains: boolean;
    readonly preload: boolean;
  } | null;
  readonly altSvc: string | null;
}

/** What answers over TLS say: RFC 6797 §7.2 forbids the first over plain HTTP. */
export function secureFieldsOf({ hsts, altSvc }: Secured): Fields {
  const fields: string[] = [];
  if (hsts !== null) {
    const directives = [
      `max-age=${hsts.maxAgeSeconds}`,
      ...(hsts.includeSubdomains ? ['includeSubDomains'] : []),
      ...(hsts.preload ? ['preload'] : []),
    ];
    fields.push('Strict-Transport-Security', directives.join('; '));
  }
  if (altSvc !== null) fields.push('Alt-Svc', altSvc);
  return fields;
}

/**
 * The same URL over TLS. A client that named a port has no use for that of the standard.
 * @param authority as the client sent it
 * @param host of the site, without its port
 * @param tlsPort where TLS is served here
 */
export function secureUrl(
  authority: string,
  host: string,
  target: string,
  tlsPort: number | undefined,
): string {
  const isNamed = /:\d+$/.test(authority) && !authority.endsWith(':80');
  const port = isNamed && tlsPort !== undefined && tlsPort !== 443 ? `:${tlsPort}` : '';
  return `https://${host}${port}${target}`;
}
