/*
 * Differences between Node, browsers and edge runtimes: environment, timers, the end of the process.
 *
 * Nothing is imported from Node, and every global is checked before it is used.
 */

interface ProcessLike {
  env?: Record<string, string | undefined>;
  pid?: number;
  on?: (event: string, listener: () => void) => unknown;
  off?: (event: string, listener: () => void) => unknown;
  kill?: (pid: number, signal: string) => unknown;
  listenerCount?: (event: string) => number;
}

type Timer = ReturnType<typeof setTimeout>;

function processLike(): ProcessLike | undefined {
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

/**
 * Call *work* when Node is asked to stop by SIGTERM.
 *
 * Without a listener of the app's the process ends as it would have, once *work* is done. An app that listens ends by
 * itself. A second SIGTERM ends at once.
 */
export function onTermination(work: () => Promise<void>): void {
  const process = processLike();
  const { pid, on, off, kill, listenerCount } = process ?? {};
  if (!pid || !on || !off || !kill || !listenerCount) return;
  const listener = () => {
    const isAlone = listenerCount.call(process, "SIGTERM") === 1;
    off.call(process, "SIGTERM", listener);
    const end = () => {
      if (isAlone) kill.call(process, pid, "SIGTERM");
    };
    work().then(end, end);
  };
  on.call(process, "SIGTERM", listener);
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
