// Asks the process of this container how it is: exits with 0 if clients or other nodes may be sent there. With
// --alive also while they may not, as when it is drained. Loads nothing, for it runs every few seconds.
import { get } from 'node:http';

const isAliveEnough = process.argv.includes('--alive');
const url = `http://${process.env.CANOPY_ADMIN ?? '127.0.0.1:8090'}/healthz`;

get(url, { timeout: 2_000 }, (answer) => {
  answer.resume();
  process.exitCode = answer.statusCode === 200 || isAliveEnough ? 0 : 1;
})
  .on('timeout', function giveUp() {
    this.destroy(new Error('no answer within 2 s'));
  })
  .on('error', (error) => {
    process.stderr.write(`${url}: ${error.message}\n`);
    process.exitCode = 1;
  });
