/** Where routes are announced. */
export interface Outlet {
  /** Has all prefixes announced, or none. Resolves once the other side has agreed; may be repeated. */
  set(announced: boolean): Promise<void>;
}
