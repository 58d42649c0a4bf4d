import { isLoopback } from '#core/http/loopback.ts';

/** Says when secrets would cross a network in the clear. */
export function warnOfPlainHttp(urls: readonly string[]): void {
  for (const url of urls) {
    const { protocol, hostname } = new URL(url);
    if (protocol === 'https:' || isLoopback(hostname)) continue;
    console.error(
      `canopy: ${url} is not HTTPS: tokens, credentials and keys go there in the clear`,
    );
  }
}
