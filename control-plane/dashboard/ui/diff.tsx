/** A line of what changed, as `canopy config diff` has it. */
export interface Change {
  readonly path: string;
  /** `undefined`: it was not there. */
  readonly before: unknown;
  /** `undefined`: it goes. */
  readonly after: unknown;
}

const shown = (value: unknown): string =>
  typeof value === 'string' ? value : (JSON.stringify(value) ?? '');

/** Settings before and after, each on its line. */
export const Diff = ({ changes }: { changes: readonly Change[] }) => (
  <ul class="diff">
    {changes.map(({ path, before, after }) => (
      <li key={path}>
        <code class="path">{path}</code>
        {before !== undefined && <del>{shown(before)}</del>}
        {after !== undefined && <ins>{shown(after)}</ins>}
      </li>
    ))}
  </ul>
);
