import type { Socket } from 'node:net';
import type { Clock } from '#core/clock.ts';
import type { Lane } from './lane.ts';
import { type OnBytes, readShared } from './shared-reads.ts';
import { isRefused } from './unreadable.ts';

/** Bytes of a connection that wait for their turn; with more it is handed over. */
const MAX_HELD_BYTES = 64 * 1024;
/**
 * How often connections are looked at. A request that is not complete when that has been twice is
 * handed over, with its connection.
 */
const SWEEP_MS = 1000;

export interface LaneOptions {
  readonly lane: Lane;
  /** For the first byte to come. */
  readonly headersTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly clock: Clock;
  /** Has node:http serve a connection, which then listens to its 'data'. */
  readonly attach: (connection: Socket) => void;
  /** Answers what is no request, and ends the connection. */
  readonly refuse: (error: NodeJS.ErrnoException, connection: Socket) => void;
}

/**
 * Connections whose bytes a lane sees first. node:http is given a connection with the first request
 * that the lane does not answer, and from then on only what the lane shows it: one whole request
 * without content at a time, after whose answer the next bytes are the lane's again. So its parser is
 * always between two messages when the lane answers. Where the lane cannot tell where a message ends
 * ('foreign'), node:http has the connection for good.
 */
export class LaneConnections {
  readonly options: LaneOptions;
  readonly #all = new WeakMap<object, LaneConnection>();
  /** Not given to node:http so far. */
  readonly #own = new Set<LaneConnection>();
  /** Given to node:http with the lane before it. */
  readonly #shared = new Set<LaneConnection>();
  readonly #partial = new Set<LaneConnection>();
  readonly #sweepMs: number;
  /** Idle for more of them than that, a connection is late. */
  readonly headersSweeps: number;
  readonly keepAliveSweeps: number;
  #isSweeping = false;
  /** So far: connections are idle since one of them, for a timer of each would have to be put off by each request. */
  sweeps = 0;
  /** Connections that node:http never heard of. */
  accepted = 0;
  isDraining = false;

  constructor(options: LaneOptions) {
    const { headersTimeoutMs, keepAliveMs } = options;
    this.options = options;
    this.#sweepMs = Math.min(SWEEP_MS, headersTimeoutMs, keepAliveMs);
    this.headersSweeps = Math.ceil(headersTimeoutMs / this.#sweepMs);
    this.keepAliveSweeps = Math.ceil(keepAliveMs / this.#sweepMs);
  }

  /** Connections that node:http has not heard of. */
  get connections(): number {
    return this.#own.size;
  }

  /** @returns whether it has taken the connection */
  take(socket: Socket): boolean {
    if (this.isDraining || !this.options.lane.mayServe(socket)) return false;
    const connection = new LaneConnection(this, socket);
    this.#all.set(socket, connection);
    this.#own.add(connection);
    this.accepted++;
    this.#sweepLater();
    return true;
  }

  /** An answer of node:http is complete. */
  answered(socket: object): void {
    this.#all.get(socket)?.resume();
  }

  attached(connection: LaneConnection): void {
    this.accepted--;
    this.#own.delete(connection);
    this.#shared.add(connection);
  }

  /** The lane has no more to do with it. */
  left(connection: LaneConnection): void {
    this.#own.delete(connection);
    this.#shared.delete(connection);
    this.#partial.delete(connection);
    this.#all.delete(connection.socket);
  }

  /** Ends idle connections by `closeIdle` of node:http, save those whose answers are not all sent. */
  drain(closeIdle: () => void): void {
    this.isDraining = true;
    for (const connection of this.#own) connection.drain();
    const sending = [...this.#shared].filter(({ socket }) => socket.writableLength > 0);
    for (const { socket } of sending) socket.destroy = () => socket;
    closeIdle();
    // What is of the prototype shows again.
    for (const { socket } of sending) delete (socket as { destroy?: unknown }).destroy;
  }

  cut(): void {
    for (const { socket } of this.#own) socket.destroy();
  }

  waits(connection: LaneConnection): void {
    this.#partial.add(connection);
    this.#sweepLater();
  }

  goesOn(connection: LaneConnection): void {
    this.#partial.delete(connection);
  }

  #sweepLater(): void {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    this.options.clock.after(this.#sweepMs, () => {
      this.#isSweeping = false;
      this.sweeps++;
      for (const connection of this.#partial) connection.grow();
      for (const connection of this.#own) connection.look();
      if (this.#own.size + this.#partial.size > 0) this.#sweepLater();
    });
  }
}

type OnData = (bytes: Buffer) => void;

class LaneConnection {
  readonly socket: Socket;
  readonly #of: LaneConnections;
  /** What has come and waits. */
  #held: Buffer | undefined;
  /** What is held is the beginning of a request. */
  #isPartial = false;
  /** The sweep after which it began to wait as a beginning of a request, or last heard anything. */
  #partialSince = 0;
  #activeAt: number;
  /** What node:http listens with, once it has the connection. */
  #theirs: OnData | undefined;
  /** node:http has not completed an answer, or the client does not take ours. */
  #isBusy = false;
  /** The latter. */
  #isWaiting = false;
  #isLeft = false;
  #hasAnswered = false;

  constructor(of: LaneConnections, socket: Socket) {
    this.socket = socket;
    this.#of = of;
    this.#activeAt = of.sweeps;
    readShared(socket, this.#onBytes, () => this.#isLeft);
    socket.on('data', this.#onData);
    socket.on('timeout', this.#onTimeout).on('end', this.#onEnd).on('error', IGNORE);
    socket.once('close', this.#onClose);
  }

  readonly #onData: OnData = (bytes) => this.#onBytes(bytes, bytes.length);

  /** @param bytes up to `end`, of others as soon as it returns */
  readonly #onBytes: OnBytes = (bytes, end) => {
    this.#activeAt = this.#of.sweeps;
    const held = this.#held;
    if (held === undefined && !this.#isBusy) {
      this.#run(bytes, end);
      return;
    }
    const come = bytes.subarray(0, end);
    const all = held === undefined ? Buffer.from(come) : Buffer.concat([held, come]);
    this.#held = undefined;
    if (!this.#isBusy) {
      this.#run(all, all.length);
      return;
    }
    // Who does not take answers is asked for no more requests.
    if (this.#isWaiting) this.socket.pause();
    if (all.length > MAX_HELD_BYTES && !this.#isWaiting) this.#leave(all);
    else this.#held = all;
  };

  /** Nothing has come for too long, or the client has taken nothing of what was sent. */
  readonly #onTimeout = (): void => {
    const isLate = this.#held === undefined ? !this.#hasAnswered : !this.#isBusy;
    if (isLate) this.#of.options.refuse(LATE, this.socket);
    else this.socket.destroy();
  };

  readonly #onEnd = (): void => {
    if (this.#held === undefined || this.#isBusy) this.socket.end();
    else this.#of.options.refuse(CUT_OFF, this.socket);
  };

  /** Before node:http says so: what has come is its to refuse. */
  readonly #onSharedEnd = (): void => {
    if (this.#held !== undefined && !this.#isBusy) this.#leave(this.#held);
  };

  readonly #onClose = (): void => {
    this.#isLeft = true;
    this.#of.left(this);
  };

  readonly #onDrain = (): void => {
    this.#isWaiting = false;
    this.#activeAt = this.#of.sweeps;
    if (this.#theirs === undefined) this.socket.setTimeout(0);
    if (this.socket.isPaused()) this.socket.resume();
    this.resume();
  };

  /** Goes on with what waits. */
  resume(): void {
    this.#isBusy = false;
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined || this.#isLeft || !this.socket.writable) return;
    // After what was malformed nothing is read any more.
    if (!isRefused(this.socket)) this.#run(held, held.length);
  }

  #run(bytes: Buffer, end: number): void {
    const { lane, keepAliveMs } = this.#of.options;
    const { socket } = this;
    if (this.#isPartial) {
      this.#isPartial = false;
      this.#of.goesOn(this);
    }
    for (let at = 0; at < end;) {
      if (this.#of.isDraining) return this.#leave(copied(bytes, at, end));
      const verdict = lane.take(bytes, at, end, socket, keepAliveMs);
      if (verdict === 'foreign') return this.#leave(copied(bytes, at, end));
      if (verdict === 'incomplete') return this.#await(copied(bytes, at, end));
      if (verdict === 'answered') {
        at = lane.end;
        this.#hasAnswered = true;
        if (socket.writableNeedDrain) this.#waitForClient();
      } else {
        const request = copied(bytes, at, lane.end);
        at = lane.end;
        this.#isBusy = true;
        // What is behind it, before others read into `bytes`.
        if (at < end) this.#held = copied(bytes, at, end);
        this.#attach()(request);
        return;
      }
      if (this.#isLeft || socket.destroyed) return;
      if (this.#isBusy) {
        if (at < end) this.#held = copied(bytes, at, end);
        return;
      }
    }
  }

  #waitForClient(): void {
    this.#isBusy = true;
    this.#isWaiting = true;
    this.#timeSending();
    this.socket.once('drain', this.#onDrain);
  }

  #await(partial: Buffer): void {
    this.#held = partial;
    this.#partialSince = this.#of.sweeps;
    this.#isPartial = true;
    this.#of.waits(this);
  }

  /** Time has passed while it waited; node:http is stricter with those who are slow. */
  grow(): void {
    const isSlow = this.#of.sweeps - this.#partialSince > 1;
    if (isSlow && this.#held !== undefined) this.#leave(this.#held);
  }

  /** Time has passed. Who has not got all that was sent is timed by Node, which knows how much that is. */
  look(): void {
    const { sweeps, headersSweeps, keepAliveSweeps } = this.#of;
    const idle = sweeps - this.#activeAt;
    if (this.#isWaiting || idle <= (this.#hasAnswered ? keepAliveSweeps : headersSweeps)) return;
    this.#activeAt = sweeps;
    if (this.socket.writableLength > 0) this.#timeSending();
    else this.#onTimeout();
  }

  /** Once node:http has the connection, it does so. */
  #timeSending(): void {
    if (this.#theirs === undefined) this.socket.setTimeout(this.#of.options.keepAliveMs);
  }

  drain(): void {
    if (this.#held !== undefined && !this.#isBusy) this.#leave(this.#held);
    else if (this.socket.writableLength === 0) this.socket.destroy();
    else this.socket.end();
  }

  /** Gives node:http the connection, and takes its place as the one who hears of bytes. */
  #attach(): OnData {
    if (this.#theirs !== undefined) return this.#theirs;
    const { socket } = this;
    socket.off('timeout', this.#onTimeout).off('end', this.#onEnd).off('data', this.#onData);
    this.#of.attached(this);
    this.#of.options.attach(socket);
    const theirs = socket.listeners('data').at(-1) as OnData;
    this.#theirs = theirs;
    socket.off('data', theirs).on('data', this.#onData);
    socket.prependListener('end', this.#onSharedEnd);
    return theirs;
  }

  /** Leaves the connection to node:http for good. @param bytes that it has not seen */
  #leave(bytes: Buffer): void {
    const { socket } = this;
    const theirs = this.#attach();
    this.#isLeft = true;
    this.#held = undefined;
    socket.off('drain', this.#onDrain).off('close', this.#onClose).off('error', IGNORE);
    socket.off('end', this.#onSharedEnd);
    socket.off('data', this.#onData).on('data', theirs);
    this.#of.left(this);
    if (socket.isPaused()) socket.resume();
    theirs(bytes);
  }
}

/** As others may have it for longer. */
const copied = (bytes: Buffer, start: number, end: number): Buffer =>
  Buffer.from(bytes.subarray(start, end));

const IGNORE = (): void => undefined;
const LATE = Object.assign(new Error('No request came in time'), {
  code: 'ERR_HTTP_REQUEST_TIMEOUT',
});
const CUT_OFF = Object.assign(new Error('The request is cut off'), {
  code: 'HPE_INVALID_EOF_STATE',
});
