import { useEffect, useState } from 'preact/hooks';

/** A value that parts of the page follow. */
export interface Signal<T> {
  get(): T;
  set(value: T): void;
  follow(listener: () => void): () => void;
}

export function signalOf<T>(first: T): Signal<T> {
  let value = first;
  const listeners = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const listener of listeners) listener();
    },
    follow(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The value now; the component is drawn anew when it changes. */
export function useSignal<T>(signal: Signal<T>): T {
  const value = signal.get();
  const [, draw] = useState(0);
  useEffect(() => {
    const redraw = (): void => draw((n) => n + 1);
    // It may have changed between drawing and now.
    if (signal.get() !== value) redraw();
    return signal.follow(redraw);
  }, [signal]);
  return value;
}
