import { emitKeypressEvents } from 'node:readline';
import { ORDERS, type Order } from './text.ts';

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME_AND_CLEAR = '\x1b[H\x1b[J';

/** A terminal that is drawn on until `q` or Ctrl-C, and then left as it was. */
export class Screen {
  readonly #input: NodeJS.ReadStream;
  readonly #output: NodeJS.WriteStream;
  readonly #ended = Promise.withResolvers<void>();

  order: Order = 'worst';
  isLeft = false;

  /** @param onOrder called when another order is wanted */
  constructor(input: NodeJS.ReadStream, output: NodeJS.WriteStream, onOrder: () => void) {
    this.#input = input;
    this.#output = output;
    output.write(ENTER);
    emitKeypressEvents(input);
    input.setRawMode(true);
    input.resume();
    input.on('keypress', (_: string, { name, ctrl }: { name?: string; ctrl?: boolean }) => {
      if (name === 'q' || (ctrl === true && name === 'c')) this.#leave();
      if (name !== 's') return;
      const orders = Object.keys(ORDERS) as Order[];
      this.order = orders[(orders.indexOf(this.order) + 1) % orders.length] ?? 'worst';
      onOrder();
    });
    output.on('resize', onOrder);
    process.once('SIGTERM', () => this.#leave());
  }

  /** Resolves once it is to be left. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get rows(): number {
    return this.#output.rows;
  }

  draw(text: string): void {
    const { columns } = this.#output;
    const foot = `q quits, s sorts (by ${this.order})`;
    const lines = [...text.split('\n').slice(0, this.rows - 1), foot];
    const drawn = lines.map((line) => line.slice(0, columns)).join('\r\n');
    this.#output.write(HOME_AND_CLEAR + drawn);
  }

  #leave(): void {
    this.isLeft = true;
    this.#ended.resolve();
  }

  close(): void {
    this.#input.setRawMode(false);
    this.#input.pause();
    this.#output.write(LEAVE);
  }
}
