import { request } from 'undici';
import { CanopyError, messageOf } from '#core/errors.ts';

const LIMIT_MS = 5_000;

/**
 * Asks each origin server for its root; whatever status it answers, it is there.
 * @returns a warning for each that does not answer while another does
 * @throws CanopyError `upstream-unreachable` when none does
 */
export async function probeOriginServers(urls: readonly string[]): Promise<readonly string[]> {
  const failures = (await Promise.all(urls.map(failureOf))).filter((line) => line !== undefined);
  if (urls.length > 0 && failures.length === urls.length) {
    throw new CanopyError(
      'upstream-unreachable',
      `No origin server answers: ${failures.join('; ')}`,
    );
  }
  return failures.map((failure) => `Origin server does not answer: ${failure}`);
}

async function failureOf(url: string): Promise<string | undefined> {
  try {
    const { body } = await request(url, { method: 'HEAD', signal: AbortSignal.timeout(LIMIT_MS) });
    await body.dump();
    return undefined;
  } catch (error) {
    return `${url} (${messageOf(error)})`;
  }
}
