import { run } from './program.ts';
import { endWithReader } from './reader.ts';

endWithReader();
await run(process.argv);
