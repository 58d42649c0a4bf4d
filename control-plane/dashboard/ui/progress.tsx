/** How far something has come. */
export const Progress = ({ label, done, of }: { label: string; done: number; of: number }) => (
  <div class="progress">
    <progress max={Math.max(of, 1)} value={done} aria-label={label} />
    <span>
      {done} of {of}
    </span>
  </div>
);
