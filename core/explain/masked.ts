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

/** A primary key without the values of parameters that are secrets by their names. */
export function maskedKey(key: string): string {
  const queryAt = key.indexOf('?');
  if (queryAt === -1) return key;
  const parameters = key.slice(queryAt + 1).split('&');
  const shown = parameters.map((parameter) => {
    const [name = ''] = parameter.split('=', 1);
    const value = parameter.slice(name.length + 1);
    return value !== '' && isSecret(name) ? `${name}=${masked(value)}` : parameter;
  });
  return `${key.slice(0, queryAt)}?${shown.join('&')}`;
}

export const isSecret = (name: string): boolean => SECRET.test(name);
