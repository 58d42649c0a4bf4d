/**
 * Request fields by which a client would say for itself what only the edge knows, or would have another
 * request than its own answered: servers that heed them were never meant to by whom they face here, and
 * what they answer would be stored for those who sent no such field.
 */
const CLAIMS: ReadonlySet<string> = new Set([
  // Who asks, and how.
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-forwarded-scheme',
  'x-forwarded-server',
  'x-forwarded-ssl',
  'x-url-scheme',
  'front-end-https',
  // What is asked for.
  'x-host',
  'x-original-host',
  'x-original-url',
  'x-rewrite-url',
]);

/** By which a GET would be taken for something else; of other methods nothing is stored. */
const METHOD_CLAIMS: ReadonlySet<string> = new Set([
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
]);

/** Whether a field (lower case) of a client's request goes no further. */
export const isClaim = (name: string, method: string): boolean =>
  CLAIMS.has(name) || (METHOD_CLAIMS.has(name) && (method === 'GET' || method === 'HEAD'));

/** All of them, whatever the method. */
export const isEverClaim = (name: string): boolean => CLAIMS.has(name) || METHOD_CLAIMS.has(name);
