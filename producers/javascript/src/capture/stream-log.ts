/** The task of one stream, and the receiver of its chunks. */

/** Adds the chunks of a stream to its task. No method throws. */
export interface ChunkReceiver {
  /** Add a chunk to the task. The first chunk begins it. */
  addChunk(chunk: unknown, chunksBefore: number): void;
  /**
   * Complete the task after the stream's end or *error*. *last* is the chunk for which `stop` returned true. *isWhole*
   * says whether the app has read the stream to its end.
   */
  finish(error: unknown, last: unknown, isWhole: boolean): void;
  /** Count a fault that is kept from the app. */
  countError(source: string, error: unknown): void;
}

export type Stop = (chunk: never) => boolean;

const UNSEEN = new Error(
  "a stream is not read, or by pipeTo or a runtime's own code. Only its input is logged. Iterate it, or log a branch of its tee()",
);

/**
 * The task of one stream: begun with its input, sent when the stream ends, breaks or is dropped.
 *
 * No method throws: failures are counted, and the stream goes on.
 */
export class StreamLog {
  readonly #receiver: ChunkReceiver;
  readonly #stop: Stop | undefined;
  #source: object | undefined;
  #chunks = 0;
  #isFinished = false;
  #isWhole = false;

  constructor(receiver: ChunkReceiver, stop?: Stop) {
    this.#receiver = receiver;
    this.#stop = stop;
  }

  /**
   * Add one chunk. The chunk for which `stop` returns true ends the task and is not part of it.
   *
   * A stream's iterator may read from its reader, and both add the same chunk: only the first *source* counts. Return
   * whether this is the one.
   */
  add(chunk: unknown, source: object): boolean {
    this.#source ??= source;
    if (this.#isFinished || source !== this.#source) return false;
    if (this.#isLast(chunk)) this.finish(undefined, chunk);
    else {
      this.#receiver.addChunk(chunk, this.#chunks);
      this.#chunks += 1;
    }
    return true;
  }

  /** Send the task as it is now. *last* is not part of it, but may carry its token counts. Works once. */
  finish(error?: unknown, last?: unknown): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#receiver.finish(error, last, this.#isWhole);
  }

  /** Send the task of a stream that the app has read to its end. */
  end(): void {
    this.#isWhole = true;
    this.finish();
  }

  /** Send the task of a stream that the app has let go of. */
  drop(): void {
    if (this.#chunks === 0) this.countUnseen();
    this.finish();
  }

  /** Count a stream that is not read, or not where its chunks can be seen. */
  countUnseen(): void {
    if (!this.#isFinished) this.#receiver.countError("stream", UNSEEN);
  }

  #isLast(chunk: unknown): boolean {
    try {
      return this.#stop !== undefined && Boolean(this.#stop(chunk as never));
    } catch (error) {
      this.#receiver.countError("stop", error);
      return false;
    }
  }
}
