import { createHmac, randomBytes } from 'node:crypto';

/** Names of headers, cookies and parameters whose values prove who somebody is. */
const SECRET =
  /^(?:cookie|set-cookie|authorization|proxy-authorization)$|token|secret|password|passwd|session|signature|api-?key|credential/i;

/** Of this process alone, so that what is shown tells nobody whether they have guessed a value. */
const SALT = randomBytes(16);

/** A value that must not be read, such that equal ones can still be told from others. */
export function masked(value: string): string {
  const digest = createHmac('sha256', SALT).update(value).digest('hex').slice(0, 6);
  return `(masked #${digest})`;
}

export const isSecret = (name: string): boolean => SECRET.test(name);
