/** Where a node answers 200 to whoever asks whether it is well. */
export const HEALTH_TARGET = '/.canopy/health';
