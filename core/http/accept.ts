import { listMembers } from './fields.ts';

/**
 * The quality that `Accept` gives to a media type by its very name, RFC 9110 §12.5.1; `undefined`
 * where it does not name it, ranges such as `*`/`*` left aside.
 * @param type in lower case, without parameters
 */
export function namedQuality(accept: string | undefined, type: string): number | undefined {
  for (const member of listMembers(accept)) {
    const [name, ...parameters] = member.split(';').map((part) => part.trim());
    if (name !== type) continue;
    const quality = parameters.find((parameter) => parameter.startsWith('q='));
    const weight = quality === undefined ? 1 : Number(quality.slice(2));
    return weight >= 0 && weight <= 1 ? weight : 0;
  }
  return undefined;
}
