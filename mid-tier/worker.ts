import { runThread } from '#core/serving/thread.ts';
import { handleRequest } from './request.ts';

runThread(handleRequest);
