/** What a command's exit code says. Codes are API: never changed, only added. */
export const EXIT = {
  /** It did what it was asked to. */
  done: 0,
  /** It did not, and says why in one line on stderr. */
  failed: 1,
  /** It was done, but not on every node when time was up, or not of every object of a push. */
  incomplete: 2,
  /** There is a difference, and `--exit-code` asks for one. */
  different: 3,
  /** A node refused the configuration. */
  refused: 4,
  /** It was told to stop a second time, and did not wait for what was under way. */
  interrupted: 130,
} as const;
