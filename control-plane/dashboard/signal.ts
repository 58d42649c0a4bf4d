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
  const [, draw] = useState(0);
  useEffect(() => signal.follow(() => draw((n) => n + 1)), [signal]);
  return signal.get();
}
