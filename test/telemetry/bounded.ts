import { LABELS, type Label } from '#core/telemetry/labels.ts';
import type { Family } from './prometheus.ts';

/** What is wrong with the labels of Canopy's own metrics: values that are none of theirs, or too many of them. */
export function unboundedLabels(families: ReadonlyMap<string, Family>): readonly string[] {
  const wrong: string[] = [];
  for (const [name, { samples }] of families) {
    if (!name.startsWith('canopy_')) continue;
    const seen = new Map<string, Set<string>>();
    for (const [label, value] of samples.flatMap(({ labels }) => Object.entries(labels))) {
      if (label === 'le') continue;
      const known = (LABELS as Readonly<Record<string, Label>>)[label];
      if (known?.values.test(value) !== true) wrong.push(`${name}{${label}="${value}"}`);
      seen.set(label, (seen.get(label) ?? new Set()).add(value));
    }
    for (const [label, values] of seen) {
      const most = (LABELS as Readonly<Record<string, Label>>)[label]?.most;
      if (typeof most === 'number' && values.size > most) wrong.push(`${name}: too many ${label}`);
    }
  }
  return wrong;
}
