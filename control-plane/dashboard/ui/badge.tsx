import type { ComponentChildren } from 'preact';

export type Tone = 'good' | 'warn' | 'bad' | 'busy' | 'plain';

/** A sign for each tone, so that none depends on colour alone. */
const SIGNS: Readonly<Record<Tone, string>> = {
  good: '●',
  warn: '▲',
  bad: '■',
  busy: '◐',
  plain: '○',
};

/** A state in a word. */
export const Badge = ({ tone, children }: { tone: Tone; children: ComponentChildren }) => (
  <span class={`badge ${tone}`}>
    <span aria-hidden="true">{SIGNS[tone]}</span> {children}
  </span>
);
