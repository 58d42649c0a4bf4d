export * from '#core/prefix.ts';
