import { z } from 'zod';

// What the control plane explains, as far as the command shows it; see core/contract/explain.ts.

const text = z.string();

const differenceSchema = z.looseObject({
  part: text,
  name: text.nullable(),
  asked: text.nullable(),
  stored: text.nullable(),
});

const purgeConcernSchema = z.looseObject({
  scope: text,
  name: text.nullable(),
  mode: text,
  sequence: z.int().nullable(),
});

const variantSchema = z.looseObject({
  suits: z.boolean(),
  differences: z.array(differenceSchema),
  status: z.int(),
  bytes: z.int(),
  held: text,
  freshness: z.looseObject({
    terms: z.array(z.looseObject({ name: text, ms: z.number(), why: text })),
    leftMs: z.number(),
    staleWhileRevalidateMs: z.number(),
    staleIfErrorMs: z.number(),
    cacheControl: text.nullable(),
  }),
  asOf: z.int(),
  tags: z.array(text),
  purges: z.array(purgeConcernSchema),
});

const nodeExplanationSchema = z.looseObject({
  fence: z.int(),
  leaseEnded: z.boolean(),
  threads: z.array(
    z.looseObject({ slot: z.int(), isHome: z.boolean(), action: text, reason: text }),
  ),
  verdict: text,
  reason: text,
  because: text,
  rules: z.array(
    z.looseObject({
      name: text,
      matches: z.boolean(),
      unmet: text.nullable(),
      actions: z.array(text),
    }),
  ),
  guards: z.array(z.looseObject({ guard: text, admits: z.boolean().nullable(), why: text })),
  key: z
    .looseObject({
      text,
      inputs: z.array(
        z.looseObject({
          part: text,
          name: text.nullable(),
          value: text.nullable(),
          counts: z.boolean(),
          why: text,
        }),
      ),
    })
    .nullable(),
  stored: z.array(variantSchema),
  fill: z
    .looseObject({ ageMs: z.number(), waiters: z.int(), behind: z.boolean(), shared: z.boolean() })
    .nullable(),
  parents: z.looseObject({
    asks: z.boolean(),
    order: z.array(z.looseObject({ name: text, why: text })),
    skipped: z.array(z.looseObject({ name: text, why: text })),
  }),
  near: z
    .looseObject({
      keys: z.array(
        z.looseObject({ key: text, differences: z.array(differenceSchema), leftMs: z.number() }),
      ),
      looked: z.int(),
      of: z.int(),
      sampled: z.boolean(),
    })
    .nullable(),
});

const who = { node: text, tier: text };

const tierSchema = z.discriminatedUnion('status', [
  z.looseObject({ ...who, status: z.literal('explained'), explanation: nodeExplanationSchema }),
  z.looseObject({ ...who, status: z.literal('silent') }),
  z.looseObject({ ...who, status: z.literal('not-in-service') }),
  z.looseObject({ ...who, status: z.literal('older-version'), version: text }),
  z.looseObject({ status: z.literal('origin'), name: text, why: text }),
]);

const namedPurgeSchema = z.looseObject({
  id: text,
  mode: text,
  sequence: z.int(),
  at: z.number().nullable(),
  target: z.looseObject({ kind: text }),
});

export const explanationSchema = z.looseObject({
  url: text,
  method: text,
  site: text.nullable(),
  sequence: z.int(),
  headline: text,
  edge: z.looseObject({ node: text, by: text, why: text }).nullable(),
  tiers: z.array(tierSchema),
  purges: z.array(namedPurgeSchema),
  purgesSince: z.int(),
  bans: z.array(namedPurgeSchema),
  hints: z.array(z.looseObject({ text, setting: text.nullable() })),
});

export const explainTokenSchema = z.looseObject({
  field: text,
  value: text,
  expiresAt: z.number(),
});

export type Explanation = z.output<typeof explanationSchema>;
export type Tier = z.output<typeof tierSchema>;
export type NodeExplanation = z.output<typeof nodeExplanationSchema>;
export type Variant = z.output<typeof variantSchema>;
export type Difference = z.output<typeof differenceSchema>;
export type SignedField = z.output<typeof explainTokenSchema>;
