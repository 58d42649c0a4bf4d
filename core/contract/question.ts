import { z } from 'zod';
import { Distinct } from '#core/distinct.ts';
import { askedSchema, explainedSchema } from './explain.ts';
import { nameSchema } from './names.ts';
import { purgeTargetSchema } from './purge.ts';
import { trafficReportSchema } from './traffic.ts';

const idSchema = z.string().min(1).max(64);

/**
 * What the control plane asks a node live. The stream carries it past the journal: who does not hear it
 * is not asked again. Told apart by what they have, for nodes of older versions know the first alone.
 */
export const questionSchema = z.union([
  /** What would a purge of these hit? */
  z.strictObject({ id: idSchema, targets: z.array(purgeTargetSchema).min(1) }),
  /** What would the node do with this request? */
  z.strictObject({ id: idSchema, explain: askedSchema }),
]);

/** The kinds of questions that a node of this version answers, as its heartbeats say. */
export const ANSWERS = ['estimate', 'explain'] as const;

/** Hashes of `Distinct` that an answer carries. */
export const MAX_HASHES = 1024;

/** What a purge would hit, as one thread or node has it now. */
export const estimateSchema = z.strictObject({
  objects: z.int().min(0),
  bytes: z.int().min(0),
  /** Only some of what is stored was looked at, and counted for the rest. */
  sampled: z.boolean(),
  /** For how long requests were watched, ms. */
  watchedMs: z.number().positive(),
  /** The objects among them that were asked for meanwhile, see `Distinct`. */
  asked: z.array(z.int().min(0)).max(MAX_HASHES),
});

/** A node's answer, by the id of the question. */
export const answerSchema = z.union([
  z.strictObject({ id: idSchema, estimate: estimateSchema }),
  z.strictObject({ id: idSchema, explained: explainedSchema }),
]);

/** What control planes on one state tell one another. */
export const tidingSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('question'),
    question: questionSchema,
    /** Whom it is for; left out: everybody. */
    nodes: z.array(nameSchema).exactOptional(),
  }),
  z.strictObject({ type: z.literal('answer'), node: nameSchema, answer: answerSchema }),
  z.strictObject({ type: z.literal('traffic'), node: nameSchema, report: trafficReportSchema }),
]);

type Distribute<T> = T extends unknown ? Omit<T, 'id'> : never;

export type Question = z.output<typeof questionSchema>;
/** A question before it has an id. */
export type Asked = Distribute<Question>;
export type Estimate = z.output<typeof estimateSchema>;
export type NodeAnswer = z.output<typeof answerSchema>;
/** What is answered, whoever asked. */
export type Said = Distribute<NodeAnswer>;
export type Tiding = z.output<typeof tidingSchema>;

/** How many different objects a second are asked for among those in question. */
export function demandPerSecond({ asked, watchedMs }: Estimate): number {
  const distinct = new Distinct(MAX_HASHES);
  distinct.noteAll(asked);
  return (distinct.count * 1000) / watchedMs;
}

/** What several have of the same question. */
export function addEstimates(estimates: readonly Estimate[]): Estimate {
  const asked = new Distinct(MAX_HASHES);
  for (const estimate of estimates) asked.noteAll(estimate.asked);
  const total = (of: (estimate: Estimate) => number): number =>
    estimates.reduce((sum, estimate) => sum + of(estimate), 0);
  return {
    objects: total(({ objects }) => objects),
    bytes: total(({ bytes }) => bytes),
    sampled: estimates.some(({ sampled }) => sampled),
    watchedMs: Math.max(1, ...estimates.map(({ watchedMs }) => watchedMs)),
    asked: [...asked.hashes],
  };
}
