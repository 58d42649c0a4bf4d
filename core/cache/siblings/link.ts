import type { MessagePort } from 'node:worker_threads';
import { type AnswerSibling, Answering } from './answering.ts';
import { Asking, type OnInterim } from './asking.ts';
import type { Asked, SiblingMessage } from './messages.ts';

/** The way to one sibling thread, by which either side asks the other. */
export class SiblingLink {
  readonly #port: MessagePort;
  readonly #answerSibling: AnswerSibling;
  readonly #asking = new Map<number, Asking>();
  readonly #answering = new Map<number, Answering>();
  #nextId = 0;
  #closed = false;

  /** @param onClose called once, when the sibling has gone */
  constructor(port: MessagePort, answerSibling: AnswerSibling, onClose: () => void) {
    this.#port = port;
    this.#answerSibling = answerSibling;
    port.on('message', (message: SiblingMessage) => this.#receive(message));
    port.once('close', () => {
      this.#closed = true;
      onClose();
      for (const asking of this.#asking.values()) asking.lost();
      for (const answering of this.#answering.values()) answering.discard();
    });
    // A thread that has nothing else to do may end.
    port.unref();
  }

  ask(asked: Asked, onInterim: OnInterim): Asking {
    const id = this.#nextId++;
    const asking = new Asking(
      id,
      (message) => this.#post(message),
      onInterim,
      () => this.#asking.delete(id),
    );
    if (this.#closed) asking.lost();
    else {
      this.#asking.set(id, asking);
      this.#post({ type: 'ask', id, asked });
    }
    return asking;
  }

  close(): void {
    this.#port.close();
  }

  #receive(message: SiblingMessage): void {
    const { id } = message;
    switch (message.type) {
      case 'ask':
        this.#answer(id, message.asked);
        break;
      case 'credit':
        this.#answering.get(id)?.credit(message.bytes);
        break;
      case 'discard':
        this.#answering.get(id)?.discard();
        break;
      default:
        this.#asking.get(id)?.receive(message);
    }
  }

  #answer(id: number, asked: Asked): void {
    const answering = new Answering(id, (message, transfer) => this.#post(message, transfer));
    this.#answering.set(id, answering);
    void answering.run(asked, this.#answerSibling).finally(() => this.#answering.delete(id));
  }

  #post(message: SiblingMessage, transfer?: ArrayBuffer): void {
    if (this.#closed) return;
    this.#port.postMessage(message, transfer === undefined ? [] : [transfer]);
  }
}
