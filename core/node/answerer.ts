import type { Logger } from 'pino';
import {
  type Estimate,
  type NodeAnswer,
  type Question,
  questionSchema,
} from '#core/contract/question.ts';
import { validate } from '#core/contract/validate.ts';
import { messageOf } from '#core/errors.ts';

/** Questions that are looked into at once; who asks more gets no answer. */
const MAX_OPEN = 4;

export interface AnswererOptions {
  readonly log: Logger;
  /** `undefined`: there is nothing to say. */
  readonly answer: (question: Question) => Promise<Estimate> | undefined;
  readonly post: (answer: NodeAnswer) => Promise<void>;
}

/** Answers what the control plane asks live. An answer that cannot be given or sent is missed there. */
export class Answerer {
  readonly #options: AnswererOptions;
  #open = 0;

  constructor(options: AnswererOptions) {
    this.#options = options;
  }

  /** @param text the JSON of a question */
  async heard(text: string): Promise<void> {
    if (this.#open >= MAX_OPEN) return;
    this.#open++;
    const { answer, post, log } = this.#options;
    try {
      const question = validate(questionSchema, JSON.parse(text), 'question');
      const estimate = await answer(question);
      if (estimate !== undefined) await post({ id: question.id, estimate });
    } catch (error) {
      log.warn(`Could not answer the control plane: ${messageOf(error)}`);
    } finally {
      this.#open--;
    }
  }
}
