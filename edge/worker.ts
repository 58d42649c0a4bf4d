import { runThread } from '#core/serving/thread.ts';
import { serveClients } from './request.ts';

runThread(serveClients);
