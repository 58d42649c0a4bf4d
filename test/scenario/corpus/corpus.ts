import { CHUNKS, CODINGS, LENGTHS, TWO_FRAMINGS, UNEXPECTED_CONTENT } from './framing.ts';
import { FIELDS, HOSTS, LIMITS, REQUEST_LINES, SWITCHES } from './requests.ts';
import type { Row } from './row.ts';

/** By what they are about. */
export const CORPUS: Readonly<Record<string, readonly Row[]>> = {
  'two framings': TWO_FRAMINGS,
  codings: CODINGS,
  lengths: LENGTHS,
  'unexpected content': UNEXPECTED_CONTENT,
  chunks: CHUNKS,
  'request lines': REQUEST_LINES,
  hosts: HOSTS,
  'switches and ends': SWITCHES,
  fields: FIELDS,
  limits: LIMITS,
};
