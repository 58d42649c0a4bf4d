import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Clock } from '#core/clock.ts';
import {
  type Asked,
  type NodeAnswer,
  type Question,
  type Said,
  type Tiding,
  tidingSchema,
} from '#core/contract/question.ts';
import type { TrafficReport } from '#core/contract/traffic.ts';
import { validate } from '#core/contract/validate.ts';
import { messageOf } from '#core/errors.ts';
import type { StateStore } from './state/store.ts';

/** How long answers are waited for unless said otherwise: nodes watch for two seconds, and may have much to go over. */
const PATIENCE_MS = 6_000;

export interface QuestionsOptions {
  readonly store: Pick<StateStore, 'tell'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Sends a question to the nodes that are linked to this control plane, or those of them that are named. */
  readonly send: (question: Question, nodes: readonly string[] | undefined) => void;
  /** A node has said, here or to another control plane, what it serves. */
  readonly onTraffic: (node: string, report: TrafficReport) => void;
}

interface Asking {
  readonly missing: Set<string>;
  readonly answers: Map<string, Said>;
  readonly finish: () => void;
}

/**
 * Asks nodes live, past the journal. Questions and answers go to all control planes on the state, for
 * each node is linked to one of them and may post to any.
 */
export class Questions {
  readonly #options: QuestionsOptions;
  readonly #asking = new Map<string, Asking>();

  constructor(options: QuestionsOptions) {
    this.#options = options;
  }

  /** What each node says, as far as it answers in time. */
  async ask(
    nodes: readonly string[],
    question: Asked,
    patienceMs = PATIENCE_MS,
  ): Promise<ReadonlyMap<string, Said>> {
    const { clock } = this.#options;
    const id = randomUUID();
    const answers = new Map<string, Said>();
    if (nodes.length === 0) return answers;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#asking.set(id, { missing: new Set(nodes), answers, finish: resolve });
    const cancel = clock.after(patienceMs, resolve);
    try {
      // What all are asked goes without names, as control planes of older versions know it.
      const named = 'explain' in question ? { nodes: [...nodes] } : {};
      await this.#tell({ type: 'question', question: { ...question, id }, ...named });
      await promise;
    } finally {
      cancel();
      this.#asking.delete(id);
    }
    return answers;
  }

  /** A node has answered, to this control plane. */
  answered(node: string, answer: NodeAnswer): Promise<void> {
    return this.#tell({ type: 'answer', node, answer });
  }

  /** A node has said to this control plane what it serves. */
  trafficReported(node: string, report: TrafficReport): Promise<void> {
    return this.#tell({ type: 'traffic', node, report });
  }

  /** What a control plane on this state, perhaps this one, has told. */
  told(message: string): void {
    try {
      const tiding = validate(tidingSchema, JSON.parse(message), 'tiding');
      switch (tiding.type) {
        case 'question':
          this.#options.send(tiding.question, tiding.nodes);
          break;
        case 'answer':
          this.#take(tiding.node, tiding.answer);
          break;
        case 'traffic':
          this.#options.onTraffic(tiding.node, tiding.report);
          break;
      }
    } catch (error) {
      this.#options.log.warn(`Ignored what another control plane told: ${messageOf(error)}`);
    }
  }

  /** Answers those who ask with what there is. */
  close(): void {
    for (const { finish } of this.#asking.values()) finish();
  }

  #take(node: string, { id, ...said }: NodeAnswer): void {
    const asking = this.#asking.get(id);
    if (asking?.missing.delete(node) !== true) return;
    asking.answers.set(node, said);
    if (asking.missing.size === 0) asking.finish();
  }

  #tell(tiding: Tiding): Promise<void> {
    return this.#options.store.tell(JSON.stringify(tiding));
  }
}
