import type { ApiClient } from '../api-client.ts';

/** Puts the sample site into the origin, so that a new network has something to show. */
export async function uploadSample(api: ApiClient, site: string): Promise<void> {
  const { sampleFiles } = await import('#origin/sample.ts');
  for (const { path, content, cacheControl } of await sampleFiles()) {
    const body = { content, headers: { 'cache-control': cacheControl } };
    await api.putObject(site, path, body, false);
  }
}
