import { parseDeltaSeconds } from '#core/http/directives.ts';
import { fieldValue } from '#core/http/fields.ts';
import type { UpstreamResponse } from './attempt.ts';
import { TIER_FIELDS } from './tier-fields.ts';

const FENCE = TIER_FIELDS.fence.toLowerCase();

/** The fence up to which an answer holds, where a node of ours says so. */
export const vouchedBy = ({
  parent,
  fields,
}: Pick<UpstreamResponse, 'parent' | 'fields'>): number | undefined =>
  parent.tier === 'customer' ? undefined : parseDeltaSeconds(fieldValue(fields, FENCE));
