import { Problem } from '../api.ts';
import { signalOf, useSignal } from '../signal.ts';

interface Toast {
  readonly id: number;
  readonly tone: 'good' | 'bad';
  readonly text: string;
}

const SHOWN_MS = 6_000;
const shown = signalOf<readonly Toast[]>([]);
let lastId = 0;

/** Says what was done, for a while. */
export function say(text: string, tone: Toast['tone'] = 'good'): void {
  const toast = { id: ++lastId, tone, text };
  shown.set([...shown.get(), toast]);
  setTimeout(() => shown.set(shown.get().filter((one) => one !== toast)), SHOWN_MS);
}

/** Does something and says what came of it. @returns whether it was done */
export async function doing(deed: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await deed();
    say(done);
    return true;
  } catch (error) {
    say(error instanceof Problem ? `${error.message} (${error.code})` : String(error), 'bad');
    return false;
  }
}

export const Toasts = () => (
  <div class="toasts" role="status" aria-live="polite">
    {useSignal(shown).map(({ id, tone, text }) => (
      <p class={`toast ${tone}`} key={id}>
        {text}
      </p>
    ))}
  </div>
);
