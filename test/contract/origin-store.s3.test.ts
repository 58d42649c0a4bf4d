import { randomUUID } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { UNLIMITED } from '#origin/indexed-store.ts';
import { Bucket } from '#origin/s3/bucket.ts';
import { openS3Store } from '#origin/s3/s3-store.ts';
import { chunks, quiet, temporaryDir, wallClock } from '#test/origin/support.ts';
import { BUCKET, useS3Service } from '#test/s3.ts';
import { originStoreContract } from './origin-store.ts';

const s3 = useS3Service();

originStoreContract('S3', async () => {
  const { endpoint } = s3.service;
  const options = { bucket: BUCKET, prefix: `${randomUUID()}/`, endpoint, pathStyle: true };
  const bucket = new Bucket(options);
  onTestFinished(() => bucket.close());
  return {
    // Each on a directory of its own: all that lasts is in the bucket.
    open: async ({ clock = wallClock(), limits, onDamaged }) =>
      openS3Store({
        name: 'origin',
        dir: await temporaryDir(),
        s3: options,
        clock,
        log: quiet,
        limitsOf: () => ({ ...UNLIMITED, ...limits }),
        onDamaged,
      }),
    bodies: async () => {
      const names: string[] = [];
      for await (const key of bucket.keys('bodies/')) names.push(key.slice('bodies/'.length));
      return names;
    },
    setBody: (name, text) =>
      text === undefined
        ? bucket.remove(`bodies/${name}`)
        : bucket.upload(`bodies/${name}`, chunks(text)),
  };
});
