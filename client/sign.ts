/**
 * Signs URLs and cookies that edges ask for where a rule of a site has `requireSignature`. For servers
 * (Node 22 or newer, or whatever has Web Crypto): who has the secret may sign anything, so it is
 * nothing for pages. One module without dependencies.
 */

/** One of the site's `signingKeys`. */
export interface SigningKey {
  readonly id: string;
  readonly secret: string;
}

export interface Signing {
  readonly key: SigningKey;
  /** Until when it is valid. */
  readonly expires: Date;
  /** From when on. */
  readonly notBefore?: Date;
  /** All paths that begin so; left out: this URL alone, its query included. */
  readonly prefix?: string;
  /** For clients of this address or network, such as `192.0.2.7` or `192.0.2.0/24`. */
  readonly address?: string;
  /** For the URL's host only, not for other hosts of the site. */
  readonly bindHost?: boolean;
  /** Of the parameter or cookie, where the rule says another. Default `canopy-signature`. */
  readonly name?: string;
}

const DEFAULT_NAME = 'canopy-signature';

/**
 * The URL with its signature as the last parameter.
 * @throws TypeError for what cannot be signed
 */
export async function signUrl(url: string | URL, signing: Signing): Promise<string> {
  const { name = DEFAULT_NAME } = signing;
  const signed = new URL(url);
  signed.hash = '';
  const signature = await signatureOf(signed, signing);
  return `${signed.href}${signed.search === '' ? '?' : '&'}${name}=${signature}`;
}

/**
 * The value of a `Set-Cookie` field that lets the client ask for all below a prefix.
 * @param url any of the site's, for its scheme and host
 * @throws TypeError for what cannot be signed
 */
export async function signedCookie(
  url: string | URL,
  signing: Signing & { readonly prefix: string },
): Promise<string> {
  const { name = DEFAULT_NAME, prefix, expires } = signing;
  const target = new URL(url);
  const signature = await signatureOf(target, signing);
  // RFC 6265 §5.1.4: a path ends at a slash.
  const path = pathOf(prefix).replace(/[^/]*$/, '');
  const attributes = [
    `Path=${path}`,
    `Expires=${expires.toUTCString()}`,
    'HttpOnly',
    'SameSite=Lax',
    ...(target.protocol === 'https:' ? ['Secure'] : []),
  ];
  return `${name}=${signature}; ${attributes.join('; ')}`;
}

/** What the parameter or cookie holds; its form is told in docs/guards.md. */
async function signatureOf(url: URL, signing: Signing): Promise<string> {
  const { key, expires, notBefore, prefix, address, bindHost = false } = signing;
  if (!/^[\w.-]{1,64}$/.test(key.id)) throw new TypeError(`Not the id of a key: ${key.id}`);
  if (address !== undefined && !/^[\da-fA-F.:]+(?:\/\d+)?$/.test(address)) {
    throw new TypeError(`Neither an address nor a network: ${address}`);
  }
  const fields = [
    'v=1',
    `k=${key.id}`,
    `e=${seconds(expires)}`,
    ...(notBefore === undefined ? [] : [`n=${seconds(notBefore)}`]),
    ...(prefix === undefined ? [] : [`p=${base64url(octets(pathOf(prefix)))}`]),
    ...(address === undefined ? [] : [`a=${address}`]),
    ...(bindHost ? [`h=${url.hostname}`] : []),
  ].join('~');
  const target = prefix === undefined ? `${normalized(url.pathname)}${url.search}` : '';
  return `${fields}~s=${base64url(await hmac(key.secret, `${fields}\n${target}`))}`;
}

function seconds(date: Date): number {
  const milliseconds = date.getTime();
  if (Number.isFinite(milliseconds) && milliseconds >= 0) return Math.floor(milliseconds / 1000);
  throw new TypeError('Not a date that can be signed');
}

const octets = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

async function hmac(secret: string, text: string): Promise<Uint8Array> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const { subtle } = globalThis.crypto;
  const key = await subtle.importKey('raw', octets(secret), algorithm, false, ['sign']);
  return new Uint8Array(await subtle.sign('HMAC', key, octets(text)));
}

const base64url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');

/** A path as edges spell it (RFC 3986 §6.2.2): nothing encoded that need not be, all else in capitals. */
function normalized(path: string): string {
  return path.replaceAll(/%[\da-fA-F]{2}|[^\w\-.~!$&'()*+,;=:@/%]/gu, (found) => {
    if (!found.startsWith('%')) {
      return [...octets(found)].map((octet) => `%${hex(octet)}`).join('');
    }
    const char = String.fromCharCode(Number.parseInt(found.slice(1), 16));
    return /[\w\-.~]/.test(char) ? char : found.toUpperCase();
  });
}

function pathOf(prefix: string): string {
  if (!/^\/[^?#]*$/.test(prefix)) throw new TypeError(`Not the beginning of a path: ${prefix}`);
  return normalized(new URL(`http://any${prefix}`).pathname);
}

const hex = (octet: number): string => octet.toString(16).toUpperCase().padStart(2, '0');
