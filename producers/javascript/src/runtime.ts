/*
 * Differences between Node, browsers and edge runtimes: environment, timers, a process that has nothing left to do.
 *
 * Nothing is imported from Node, and every global is checked before it is used.
 */

/** The part of Node's `process` that the SDK uses. */
export interface ProcessLike {
  env?: Record<string, string | undefined>;
  pid?: number;
  on?: (event: string, listener: () => void) => unknown;
  prependListener?: (event: string, listener: () => void) => unknown;
  off?: (event: string, listener: () => void) => unknown;
  kill?: (pid: number, signal: string) => unknown;
  listenerCount?: (event: string) => number;
}

type Timer = ReturnType<typeof setTimeout>;

/** Return Node's `process`, where there is one. */
export function processLike(): ProcessLike | undefined {
  return (globalThis as { process?: ProcessLike }).process;
}

/** Return a variable of the environment. Undefined if it is missing or may not be read. */
export function environmentVariable(name: string): string | undefined {
  try {
    return processLike()?.env?.[name] || undefined;
  } catch {
    return undefined;
  }
}

/** Return whether this is a browser, whose requests may not set the User-Agent. */
export function isBrowser(): boolean {
  return "document" in globalThis;
}

/** Call *listener* each time that Node has nothing left to do. Other runtimes never call it. */
export function onProcessIdle(listener: () => void): void {
  processLike()?.on?.("beforeExit", listener);
}

/** Call *listener* when Node ends, by `process.exit()` or a crash too. It can't wait for anything. */
export function onProcessExit(listener: () => void): void {
  processLike()?.on?.("exit", listener);
}

/** The longest delay of a timer, 24 days. A longer one would fire at once. */
export const LONGEST_DELAY_MS = 2 ** 31 - 1;

/** Start a timer that does not keep the process alive. */
export function backgroundTimer(callback: () => void, delayMs: number): Timer {
  const timer = setTimeout(callback, Math.min(delayMs, LONGEST_DELAY_MS));
  const node = timer as unknown as { unref?: () => void };
  if (typeof node === "object" && typeof node.unref === "function") node.unref();
  return timer;
}

/** Return milliseconds of a monotonic clock if there is one. */
export function monotonicMs(): number {
  return typeof performance === "undefined" ? Date.now() : performance.now();
}
