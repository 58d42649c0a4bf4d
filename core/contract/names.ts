import { z } from 'zod';

/** The name of a site or node: short, lower case, fit for a file name, a label and a URL segment. */
export const nameSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'a name of a-z, 0-9 and - (1 to 63 characters)');

/** An absolute `http:` or `https:` URL without credentials, path, query or fragment. */
export const baseUrlSchema = z.string().refine(isBaseUrl, {
  message: 'an http:// or https:// URL of a host and optional port, without path',
});

function isBaseUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return (
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    url.username === '' &&
    url.password === '' &&
    url.pathname === '/' &&
    url.search === '' &&
    url.hash === ''
  );
}

/** A hostname, `*.` before a hostname for all its subdomains, or `*` for every host. Never with a port. */
export const hostPatternSchema = z
  .string()
  .regex(
    /^(?:\*|(?:\*\.)?[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])$/,
    'a lower-case hostname, *.hostname, or *, without a port',
  );

/** A journal sequence number; 0 is before the first event. */
export const sequenceSchema = z.int().min(0);

/** Tells one history from another that has the same sequence numbers: random, made with the journal. */
export const journalIdSchema = z.string().min(1).max(64);

/** Milliseconds since the Unix epoch. */
export const timestampSchema = z.number().min(0);

/** Time that clients may claim in HTTP: RFC 9111 §1.2.2 lets a cache stop at 2^31. */
export const secondsSchema = z.int().min(0).max(2_147_483_648);
