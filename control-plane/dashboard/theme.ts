import { signalOf } from './signal.ts';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'canopy-theme';
const THEMES: readonly Theme[] = ['system', 'light', 'dark'];

const stored = localStorage.getItem(KEY) as Theme | null;
export const theme = signalOf<Theme>(
  stored !== null && THEMES.includes(stored) ? stored : 'system',
);

/** Beside the system's wish, which style sheets know by themselves. */
export function setTheme(wanted: Theme): void {
  theme.set(wanted);
  if (wanted === 'system') localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, wanted);
  show();
}

function show(): void {
  const { dataset } = document.documentElement;
  if (theme.get() === 'system') delete dataset['theme'];
  else dataset['theme'] = theme.get();
}

show();
