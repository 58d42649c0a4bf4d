import { randomUUID } from 'node:crypto';
import type { CacheSettings } from '#core/contract/cache-settings.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import { sharedFields } from './answer.ts';
import { Body } from './body.ts';
import type { Arriving, Fill } from './fill.ts';
import { keptFields } from './kept-fields.ts';
import type { HeldObject, StoredObject } from './object.ts';
import { keptAs } from './policy/keeping.ts';
import { variantSelector } from './policy/vary.ts';
import { SIBLING } from './siblings/messages.ts';
import type { Keeping } from './store.ts';

/** What a fill has brought, as it is stored. */
export function storedResponse(
  fill: Fill,
  response: Pick<Arriving, 'fields' | 'facts' | 'initialAgeMs' | 'receivedAt'>,
  chunks: readonly Buffer[],
): HeldObject {
  return { ...storedHead(fill, response), body: new Body(chunks) };
}

/** The same without its content. */
export function storedHead(
  fill: Fill,
  response: Pick<Arriving, 'fields' | 'facts' | 'initialAgeMs' | 'receivedAt'>,
): Omit<StoredObject, 'body'> {
  const { facts, initialAgeMs, receivedAt } = response;
  return {
    key: fill.key,
    site: fill.site,
    selector: fill.keySelector + variantSelector(facts.vary, fill.requestFields),
    fields: keptFields(sharedFields(response)),
    facts,
    initialAgeMs,
    receivedAt,
    asOf: fill.asOf,
    softPurgedAt: fill.purge?.at,
    contentId: newContentId(),
  };
}

const THREAD = randomUUID().slice(0, 13);
let contents = 0;

const newContentId = (): string => `${THREAD}-${(contents++).toString(36)}`;

/** How it is kept. What another thread has sent is on disk by its doing. */
export const keepingFor = (
  response: Parameters<typeof keptAs>[0],
  cache: CacheSettings,
  { parent }: Pick<UpstreamResponse, 'parent'>,
): Keeping => ({ ...keptAs(response, cache), memoryOnly: parent === SIBLING });
