import { z } from 'zod';

/** What a token allows; `admin` implies the others. */
export const scopeSchema = z.enum(['read', 'purge', 'publish', 'configure', 'admin']);

export type Scope = z.output<typeof scopeSchema>;
