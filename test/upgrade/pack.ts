// Keeps the build in dist/ as the one that test/upgrade upgrades from: after `npm run build` on the release
// before a change of the contract. What it depends on is taken from the checkout.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const NAMED = ['--owner=0', '--group=0', '--numeric-owner', '--mtime=1970-01-01', '--sort=name'];

const tar = execFileSync('tar', ['--create', ...NAMED, 'package.json', 'dist'], {
  cwd: ROOT,
  maxBuffer: 256 * 1024 * 1024,
});
const packed = brotliCompressSync(tar, {
  params: {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: tar.length,
  },
});
writeFileSync(new URL('./previous.tar.br', import.meta.url), packed);
process.stdout.write(`${tar.length} bytes, packed ${packed.length}\n`);
