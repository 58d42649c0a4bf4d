const end = (error: NodeJS.ErrnoException): void => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
};

const goOn = (): void => undefined;

/** A reader of the output that has seen enough, such as `head`, is no failure. */
export function endWithReader(): void {
  process.stdout.on('error', end);
}

/** A server goes on when nobody reads any more what it says. */
export function outliveReader(): void {
  process.stdout.off('error', end).on('error', goOn);
  process.stderr.on('error', goOn);
}
