/** The labels of a name, leftmost first, each as its bytes in latin1; the root has none. */
export type Labels = readonly string[];

/** A name told by its labels, in lower case (RFC 4343), so that equal names are equal texts. */
export const keyOf = (labels: Labels): string => labels.map(escaped).join('.').toLowerCase();

/** @param name in the notation of `keyOf`, as configuration has it: without escapes */
export const labelsOf = (name: string): Labels => (name === '' ? [] : name.split('.'));

/** A dot within a label is none between labels. */
const escaped = (label: string): string =>
  /[.\\]/.test(label) ? label.replaceAll(/[.\\]/g, String.raw`\$&`) : label;

/** Bytes that a name takes on the wire without compression; at most 255 (RFC 1035 §2.3.4). */
export const wireLength = (labels: Labels): number =>
  labels.reduce((sum, label) => sum + 1 + label.length, 1);
