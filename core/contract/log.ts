import { z } from 'zod';

/** What nodes that keep an access log (`--access-log`) write of a site's requests. */
export const logSettingsSchema = z.strictObject({
  /** Whether its requests are in the log at all. */
  enabled: z.boolean().default(true),
  /** The part of its requests that is in the log, chosen by chance; `--access-log-sample` has its say, too. */
  sample: z.number().min(0).max(1).default(1),
  /** Answers of 500 and above are in the log whatever the sample. */
  errors: z.boolean().default(true),
  /** Only the network of a client: /24 of an IPv4 address, /48 of an IPv6 address. */
  truncateAddress: z.boolean().default(false),
});

export type LogSettings = z.output<typeof logSettingsSchema>;
