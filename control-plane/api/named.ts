import { InvalidInput } from '#core/contract/validate.ts';

/**
 * The content of a PUT with the name of its path, which it may leave out but not contradict.
 * @throws InvalidInput
 */
export function withName<T extends { readonly name?: string | undefined }>(
  subject: string,
  name: string,
  body: T,
): T & { readonly name: string } {
  if (body.name === undefined || body.name === name) return { ...body, name };
  throw new InvalidInput(subject, [
    { path: 'name', expected: `"${name}" as in the path`, received: JSON.stringify(body.name) },
  ]);
}
