import { sharedFields } from './answer.ts';
import { Body } from './body.ts';
import type { Arriving, Fill } from './fill.ts';
import { keptFields } from './kept-fields.ts';
import type { StoredObject } from './object.ts';
import { variantSelector } from './policy/vary.ts';

/** What a fill has brought, as it is stored. */
export function storedResponse(
  fill: Fill,
  response: Pick<Arriving, 'fields' | 'facts' | 'initialAgeMs' | 'receivedAt'>,
  chunks: readonly Buffer[],
): StoredObject {
  const { facts, initialAgeMs, receivedAt } = response;
  return {
    key: fill.key,
    site: fill.site,
    selector: fill.keySelector + variantSelector(facts.vary, fill.requestFields),
    fields: keptFields(sharedFields(response)),
    facts,
    body: new Body(chunks),
    initialAgeMs,
    receivedAt,
    asOf: fill.asOf,
    softPurgedAt: fill.purge?.at,
  };
}
