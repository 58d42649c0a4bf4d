import { randomUUID } from 'node:crypto';
import { sharedFields } from '#core/cache/answer.ts';
import { Body } from '#core/cache/body.ts';
import type { Fill } from '#core/cache/fill.ts';
import { keptFields } from '#core/cache/kept-fields.ts';
import type { Manifest } from '#core/cache/object.ts';
import { initialAgeMs } from '#core/cache/policy/freshness.ts';
import type { ResponseFacts } from '#core/cache/policy/response.ts';
import { variantSelector } from '#core/cache/policy/vary.ts';
import type { Fields } from '#core/http/fields.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';

/**
 * A new generation of a large object. Even under the validator of an earlier one it shares nothing
 * with it: what a purge removed does not come back.
 * @param fields those of the whole 200 answer
 * @param size bytes of the whole
 */
export function newManifest(
  fill: Fill,
  fields: Fields,
  facts: ResponseFacts,
  {
    requestedAt,
    receivedAt,
    sliced,
  }: Pick<UpstreamResponse, 'requestedAt' | 'receivedAt' | 'sliced'>,
  size: number,
  sliceBytes: number,
): Manifest {
  // Where another thread has cut it alike, both find the same slices.
  const isCutAlike = sliced?.size === size && sliced.sliceBytes === sliceBytes;
  return {
    key: fill.key,
    site: fill.site,
    selector: fill.keySelector + variantSelector(facts.vary, fill.requestFields),
    fields: keptFields(sharedFields({ fields, facts })),
    facts,
    body: Body.empty,
    initialAgeMs: initialAgeMs(facts, requestedAt, receivedAt),
    receivedAt,
    asOf: fill.asOf,
    softPurgedAt: fill.purge?.at,
    sliced: { size, sliceBytes, generation: isCutAlike ? sliced.generation : randomUUID() },
  };
}
