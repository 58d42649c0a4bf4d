import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  NoSuchKey,
  paginateListObjectsV2,
  PutObjectCommand,
  S3Client,
  ListMultipartUploadsCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { ByteRange } from '#core/http/ranges.ts';
import { bucketError } from './bucket-error.ts';

export interface BucketOptions {
  readonly bucket: string;
  /** Before every key: empty, or with a slash at its end. */
  readonly prefix: string;
  /** Of a service other than AWS. */
  readonly endpoint?: string | undefined;
  /** Default: what the environment says. */
  readonly region?: string | undefined;
  /** The bucket in the path, not in the hostname. */
  readonly pathStyle: boolean;
  /** Attempts at a request that may succeed when it is sent again. Default: 3. */
  readonly attempts?: number | undefined;
}

/** An upload holds at most this much in memory: parts that are sent at once, and their bytes. */
const PARTS_AT_ONCE = 2;
const PART_BYTES = 8 * 1024 * 1024;

const CONNECT_TIMEOUT_MS = 2_000;
/** For a request, a part of an upload with it, and the header section of its answer. */
const ANSWER_TIMEOUT_MS = 60_000;
/** Each answer that a slow client reads has one. */
const MOST_CONNECTIONS = 1024;

/**
 * Keys of an S3-compatible bucket, below a prefix. Credentials are found as by every AWS tool: in the
 * environment, in the shared files, from the machine's role.
 */
export class Bucket {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  /** For people: which bucket and prefix. */
  readonly name: string;

  constructor({ bucket, prefix, endpoint, region, pathStyle, attempts = 3 }: BucketOptions) {
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.name = `s3://${bucket}/${prefix}`;
    this.#client = new S3Client({
      ...(endpoint !== undefined && { endpoint }),
      ...(region !== undefined && { region }),
      forcePathStyle: pathStyle,
      maxAttempts: attempts,
      // Ours are sent where we say so, in a form that older services understand.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: ANSWER_TIMEOUT_MS,
        throwOnRequestTimeout: true,
        httpAgent: { maxSockets: MOST_CONNECTIONS },
        httpsAgent: { maxSockets: MOST_CONNECTIONS },
      },
    });
  }

  /** Stores a small value whole. */
  async put(key: string, value: string): Promise<void> {
    await this.#asking(() =>
      this.#client.send(
        new PutObjectCommand({
          ...this.#at(key),
          Body: Buffer.from(value),
          ChecksumAlgorithm: 'SHA256',
        }),
      ),
    );
  }

  /** Stores what comes, whole or not at all. Every part is sent with its SHA-256. */
  async upload(key: string, content: AsyncIterable<Buffer>): Promise<void> {
    let cut: { readonly reason: unknown } | undefined;
    async function* watched(): AsyncGenerator<Buffer, void, undefined> {
      // An upload that fails throws into what it reads from.
      let isRead = false;
      try {
        for await (const chunk of content) {
          isRead = true;
          yield chunk;
          isRead = false;
        }
      } catch (reason) {
        if (!isRead) cut = { reason };
        throw reason;
      }
    }
    const upload = new Upload({
      client: this.#client,
      params: {
        ...this.#at(key),
        Body: Readable.from(watched(), { objectMode: false }),
        ChecksumAlgorithm: 'SHA256',
      },
      partSize: PART_BYTES,
      queueSize: PARTS_AT_ONCE,
    });
    await this.#asking(() =>
      upload.done().catch((error: unknown) => {
        // What went wrong with the content is not the bucket's doing.
        if (cut !== undefined) return undefined;
        throw error;
      }),
    );
    if (cut !== undefined) throw cut.reason;
  }

  /** @returns `undefined` if there is none */
  async get(key: string): Promise<string | undefined> {
    const found = await this.read(key);
    return found && (await this.#asking(() => buffer(found.body))).toString();
  }

  /**
   * A value as it comes, or a part of it. Must be read or destroyed.
   * @returns `undefined` if there is none; else its whole size, too
   */
  async read(
    key: string,
    range?: ByteRange,
  ): Promise<{ readonly body: Readable; readonly size: number } | undefined> {
    const part = range && { Range: `bytes=${range.start}-${range.end}` };
    try {
      const command = new GetObjectCommand({ ...this.#at(key), ...part });
      const { Body, ContentLength, ContentRange } = await this.#client.send(command);
      const total = range === undefined ? ContentLength : ContentRange?.split('/')[1];
      return { body: Body as Readable, size: Number(total) };
    } catch (error) {
      if (error instanceof NoSuchKey) return undefined;
      throw bucketError(error, this.name);
    }
  }

  async remove(key: string): Promise<void> {
    await this.#asking(() => this.#client.send(new DeleteObjectCommand(this.#at(key))));
  }

  /** Keys that begin with `start`, in their order. */
  async *keys(start: string): AsyncGenerator<string, void, undefined> {
    const listed = { Bucket: this.#bucket, Prefix: this.#prefix + start };
    const pages = paginateListObjectsV2({ client: this.#client }, listed);
    try {
      for await (const { Contents = [] } of pages) {
        for (const { Key = '' } of Contents) yield Key.slice(this.#prefix.length);
      }
    } catch (error) {
      throw bucketError(error, this.name);
    }
  }

  /** Ends uploads that were begun and never completed, but for those that `keep` wants. */
  async endUploads(start: string, keep: (key: string) => boolean): Promise<void> {
    const listed = { Bucket: this.#bucket, Prefix: this.#prefix + start };
    const { Uploads = [] } = await this.#asking(() =>
      this.#client.send(new ListMultipartUploadsCommand(listed)),
    );
    for (const { Key = '', UploadId } of Uploads) {
      const key = Key.slice(this.#prefix.length);
      if (keep(key)) continue;
      const command = new AbortMultipartUploadCommand({ ...this.#at(key), UploadId });
      await this.#asking(() => this.#client.send(command));
    }
  }

  close(): void {
    this.#client.destroy();
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }

  async #asking<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw bucketError(error, this.name);
    }
  }
}
