import type { Fields } from '#core/http/fields.ts';

/** An answer that a rule makes, of which no parent is asked. */
export interface OwnAnswer {
  readonly status: number;
  /** Without `Content-Length`. */
  readonly fields: Fields;
  readonly body: string;
  /** The action, as `Cache-Status` has it. */
  readonly detail: 'respond' | 'redirect' | 'cors-preflight';
}
