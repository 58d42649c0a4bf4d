import type { ComponentChildren } from 'preact';

/** The head of a page, with what can be done there. */
export const PageHead = ({
  title,
  lead,
  children,
}: {
  title: ComponentChildren;
  lead?: ComponentChildren;
  children?: ComponentChildren;
}) => (
  <header class="page-head">
    <div>
      <h1>{title}</h1>
      {lead !== undefined && <p class="lead">{lead}</p>}
    </div>
    {children !== undefined && <div class="actions">{children}</div>}
  </header>
);

/** A part of a page that has a heading of its own. */
export const Card = ({
  title,
  actions,
  children,
}: {
  title?: string;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) => (
  <section class="card" aria-label={title}>
    {title !== undefined && (
      <div class="card-head">
        <h2>{title}</h2>
        {actions !== undefined && <div class="actions">{actions}</div>}
      </div>
    )}
    {children}
  </section>
);

/** One figure. @param note what it is of, such as a span of time */
export const Stat = ({
  label,
  value,
  note,
}: {
  label: string;
  value: ComponentChildren;
  note?: ComponentChildren;
}) => (
  <div class="stat">
    <dt>{label}</dt>
    <dd>
      {value}
      {note !== undefined && <small>{note}</small>}
    </dd>
  </div>
);

export const Stats = ({ children }: { children: ComponentChildren }) => (
  <dl class="stats">{children}</dl>
);
