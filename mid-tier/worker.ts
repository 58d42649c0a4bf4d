import { runThread } from '#core/serving/thread.ts';
import { serveEdges } from './request.ts';

runThread(serveEdges);
