import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { useApi } from '../api.ts';
import type { Page } from '../pages/pages.ts';
import { hrefOf, usePlace } from '../router.ts';
import { signOut } from '../session.ts';
import { useSignal } from '../signal.ts';
import { setTheme, type Theme, theme } from '../theme.ts';
import { Mark } from './mark.tsx';

interface LayoutProps {
  readonly pages: readonly Page[];
  readonly current: string | undefined;
  readonly children: ComponentChildren;
}

export function Layout({ pages, current, children }: LayoutProps) {
  const [isOpen, setOpen] = useState(false);
  const place = usePlace();
  // The menu of narrow screens has done its work once one is elsewhere.
  useEffect(() => setOpen(false), [place]);
  const groups = [...new Set(pages.map(({ group }) => group))];
  return (
    <div class="layout">
      <a class="skip" href="#content" onClick={focusContent}>
        Skip to content
      </a>
      <header class="top">
        <a class="home" href="#/" aria-label="Canopy, overview">
          <Mark />
        </a>
        <button
          type="button"
          class="menu-button"
          aria-expanded={isOpen}
          aria-controls="menu"
          onClick={() => setOpen(!isOpen)}
        >
          Menu
        </button>
      </header>
      <nav id="menu" class={isOpen ? 'menu open' : 'menu'} aria-label="Pages">
        {groups.map((group) => (
          <div class="menu-group" key={group}>
            <h2 id={`menu-${group}`}>{group}</h2>
            <ul aria-labelledby={`menu-${group}`}>
              {pages
                .filter((page) => page.group === group)
                .map(({ name, title }) => (
                  <li key={name}>
                    <a
                      href={hrefOf(name === 'overview' ? [] : [name])}
                      aria-current={name === current ? 'page' : undefined}
                    >
                      {title}
                    </a>
                  </li>
                ))}
            </ul>
          </div>
        ))}
        <div class="menu-foot">
          <Version />
          <ThemeChoice />
          <button type="button" class="quiet" onClick={signOut}>
            Sign out
          </button>
        </div>
      </nav>
      <main id="content" class="content" tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

function focusContent(event: MouseEvent): void {
  // The fragment is the router's.
  event.preventDefault();
  document.getElementById('content')?.focus();
}

function Version() {
  const { content, problem } = useApi<{ sequence: number; version?: string }>(
    '/v1/health',
    {},
    10_000,
  );
  if (problem !== undefined) return <p class="menu-state bad">Control plane unreachable</p>;
  return <p class="menu-state">{content === undefined ? '…' : `Journal at ${content.sequence}`}</p>;
}

const THEMES: Readonly<Record<Theme, string>> = { system: 'System', light: 'Light', dark: 'Dark' };

function ThemeChoice() {
  const chosen = useSignal(theme);
  return (
    <label class="theme">
      Theme
      <select
        value={chosen}
        onChange={({ currentTarget }) => setTheme(currentTarget.value as Theme)}
      >
        {Object.entries(THEMES).map(([name, label]) => (
          <option value={name} key={name}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}
