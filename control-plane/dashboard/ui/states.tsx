import type { ComponentChildren } from 'preact';
import type { Asked, Problem } from '../api.ts';

/** Nothing to show, and what to do about it. */
export const Empty = ({ title, children }: { title: string; children?: ComponentChildren }) => (
  <div class="empty">
    <p class="empty-title">{title}</p>
    {children !== undefined && <div>{children}</div>}
  </div>
);

/** What went wrong, with its code, field by field where there are any. */
export const ProblemNotice = ({ problem, again }: { problem: Problem; again?: () => void }) => (
  <div class="notice bad" role="alert">
    <p>
      <strong>{problem.message}</strong> <code>{problem.code}</code>
    </p>
    {problem.issues.length > 0 && (
      <ul>
        {problem.issues.map(({ path, expected, received }) => (
          <li key={path}>
            <code>{path}</code>: expected {expected}, received {received}
          </li>
        ))}
      </ul>
    )}
    {again !== undefined && (
      <button type="button" onClick={again}>
        Try again
      </button>
    )}
  </div>
);

/** Shows what was asked for once it is there; what is known stays in sight while asking again fails. */
export function Loaded<T>({
  asked,
  children,
}: {
  asked: Asked<T>;
  children: (content: T) => ComponentChildren;
}) {
  const { content, problem, again } = asked;
  return (
    <>
      {problem !== undefined && <ProblemNotice problem={problem} again={again} />}
      {content !== undefined ? (
        children(content)
      ) : problem === undefined ? (
        <p class="loading" role="status">
          Loading…
        </p>
      ) : null}
    </>
  );
}
