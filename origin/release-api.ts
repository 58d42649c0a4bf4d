import { z } from 'zod';
import { contentDigestSchema, retirementSchema } from '#core/contract/release.ts';
import { validate } from '#core/contract/validate.ts';
import { MethodNotAllowed } from '#core/errors.ts';
import { type Answer, jsonAnswer } from './answer.ts';
import { readJson, type SiteRequest, writtenBy } from './api-request.ts';
import type { Releases } from './releases.ts';

const prepareSchema = z.strictObject({ manifest: contentDigestSchema });

/**
 * `PUT releases/{id}` prepares one, `POST releases/retirements` removes what only earlier ones have.
 * @throws CanopyError
 */
export async function releaseAnswer(releases: Releases, request: SiteRequest): Promise<Answer> {
  const { method, site, rest } = request;
  if (rest === '/retirements') {
    if (method !== 'POST') throw new MethodNotAllowed(method, 'POST');
    const retirement = await readJson(retirementSchema, request, 'retirement');
    const deleted = await releases.retire(site, retirement, writtenBy(request));
    return jsonAnswer(200, { deleted });
  }
  const id = validate(z.uuid(), rest.slice(1), 'release');
  if (method !== 'PUT') throw new MethodNotAllowed(method, 'PUT');
  const { manifest } = await readJson(prepareSchema, request, 'release');
  return jsonAnswer(200, await releases.prepare(site, id, manifest));
}
