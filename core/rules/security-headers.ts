import type { SecurityHeadersAction } from '#core/contract/rules/security-headers.ts';
import { type Fields, hasField, withoutFields } from '#core/http/fields.ts';

const FIELDS = {
  contentSecurityPolicy: 'Content-Security-Policy',
  contentTypeOptions: 'X-Content-Type-Options',
  frameOptions: 'X-Frame-Options',
  referrerPolicy: 'Referrer-Policy',
  permissionsPolicy: 'Permissions-Policy',
  crossOriginOpenerPolicy: 'Cross-Origin-Opener-Policy',
  crossOriginEmbedderPolicy: 'Cross-Origin-Embedder-Policy',
  crossOriginResourcePolicy: 'Cross-Origin-Resource-Policy',
} as const;

type Said = Pick<SecurityHeadersAction, keyof typeof FIELDS>;

const PRESETS: Readonly<Record<SecurityHeadersAction['preset'], Said>> = {
  basic: {
    contentSecurityPolicy: "frame-ancestors 'self'",
    contentTypeOptions: 'nosniff',
    frameOptions: 'SAMEORIGIN',
    referrerPolicy: 'strict-origin-when-cross-origin',
  },
  strict: {
    contentSecurityPolicy:
      "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    contentTypeOptions: 'nosniff',
    frameOptions: 'DENY',
    referrerPolicy: 'no-referrer',
    permissionsPolicy: 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
    crossOriginOpenerPolicy: 'same-origin',
    crossOriginEmbedderPolicy: 'require-corp',
    crossOriginResourcePolicy: 'same-origin',
  },
};

/** Made once, when the rule arrives. */
export function securityHeadersOf({
  preset,
  override,
  ...own
}: SecurityHeadersAction): (fields: Fields) => Fields {
  const values: Said = { ...PRESETS[preset], ...own };
  const said = Object.entries(FIELDS).flatMap(([key, name]) => {
    const value = values[key as keyof Said];
    return value === null || value === undefined
      ? []
      : [{ name, lower: name.toLowerCase(), value }];
  });
  const replaced = new Set(override ? said.map(({ lower }) => lower) : []);
  return (fields) => {
    const kept = override ? withoutFields(fields, (name) => replaced.has(name)) : fields;
    const missing = said.filter(({ lower }) => override || !hasField(fields, lower));
    return [...kept, ...missing.flatMap(({ name, value }) => [name, value])];
  };
}
