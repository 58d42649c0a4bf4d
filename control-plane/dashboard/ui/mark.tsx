/** The name with its sign. */
export const Mark = () => (
  <span class="mark">
    <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="var(--brand)" />
      <path d="M5 20a11 11 0 0 1 22 0z" fill="var(--brand-ink)" />
      <path d="M16 20v6" stroke="var(--brand-ink)" stroke-width="2.5" stroke-linecap="round" />
    </svg>
    Canopy
  </span>
);
