import { InvalidInput } from '#core/contract/validate.ts';

/**
 * The body of a PUT with the name of its path, which it may leave out but not contradict.
 * @throws InvalidInput
 */
export function withName(subject: string, name: string, body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  if ('name' in body && body.name !== name) {
    const received = JSON.stringify(body.name) ?? 'nothing';
    throw new InvalidInput(subject, [
      { path: 'name', expected: `"${name}" as in the path`, received },
    ]);
  }
  return { ...body, name };
}
