import type { Logger } from 'pino';
import {
  type NodeAnswer,
  type Question,
  questionSchema,
  type Said,
} from '#core/contract/question.ts';
import { validate } from '#core/contract/validate.ts';
import { messageOf } from '#core/errors.ts';

/** Questions of a kind that are looked into at once; who asks more gets no answer. */
const MAX_OPEN = { estimate: 4, explain: 8 };

export interface AnswererOptions {
  readonly log: Logger;
  /** `undefined`: there is nothing to say. */
  readonly answer: (question: Question) => Promise<Said> | undefined;
  readonly post: (answer: NodeAnswer) => Promise<void>;
}

/** Answers what the control plane asks live. An answer that cannot be given or sent is missed there. */
export class Answerer {
  readonly #options: AnswererOptions;
  readonly #open = { estimate: 0, explain: 0 };

  constructor(options: AnswererOptions) {
    this.#options = options;
  }

  /** @param text the JSON of a question */
  async heard(text: string): Promise<void> {
    const { answer, post, log } = this.#options;
    try {
      const question = validate(questionSchema, JSON.parse(text), 'question');
      const kind = 'explain' in question ? 'explain' : 'estimate';
      if (this.#open[kind] >= MAX_OPEN[kind]) return;
      this.#open[kind]++;
      try {
        const said = await answer(question);
        if (said !== undefined) await post({ ...said, id: question.id });
      } finally {
        this.#open[kind]--;
      }
    } catch (error) {
      log.warn(`Could not answer the control plane: ${messageOf(error)}`);
    }
  }
}
