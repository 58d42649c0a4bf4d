import type { Logger } from 'pino';
import { z } from 'zod';
import { sequenceSchema, timestampSchema } from '#core/contract/names.ts';
import { messageOf } from '#core/errors.ts';
import type { Page, Records } from './state/records.ts';

/** How many entries are kept, the oldest going first, and after how many new ones that is seen to. */
const LIMITS = { kept: 100_000, trimEvery: 1_000 };

/** A call that changed something, or was to. Never holds a secret or content. */
export const auditEntrySchema = z.strictObject({
  /** The request's, as its answer says in `X-Request-Id`. */
  id: z.string(),
  at: timestampSchema,
  /** Whose token it was; `null` if none was known. */
  token: z.string().nullable(),
  /** Where the request came from. */
  address: z.string(),
  method: z.string(),
  route: z.string(),
  /** The resource, without a query. */
  path: z.string(),
  status: z.int(),
  /** Why it was refused. */
  code: z.string().nullable(),
  /** Of the events that it wrote. */
  sequences: z.array(sequenceSchema),
});

export type AuditEntry = z.output<typeof auditEntrySchema>;

/** Who did what, and when. */
export class AuditLog {
  readonly #records: Records;
  readonly #log: Logger;
  readonly #limits: typeof LIMITS;
  #written = 0;

  constructor(records: Records, log: Logger, limits = LIMITS) {
    this.#records = records;
    this.#log = log;
    this.#limits = limits;
  }

  /** Resolves once the entry is kept, or cannot be: what was done is done. */
  async add(entry: AuditEntry): Promise<void> {
    try {
      await this.#records.put({ kind: 'audit', id: entry.id, value: entry });
      this.#written += 1;
      const { kept, trimEvery } = this.#limits;
      if (this.#written % trimEvery === 0) await this.#records.trim('audit', kept);
    } catch (error) {
      this.#log.error({ entry }, `Could not keep an entry of the audit log: ${messageOf(error)}`);
    }
  }

  /** Latest first. */
  async list(page: Pick<Page, 'limit' | 'after'>): Promise<readonly AuditEntry[]> {
    const records = await this.#records.list('audit', { ...page, descending: true });
    // Written here, checked then.
    return records.map(({ value }) => value as AuditEntry);
  }
}
