/** The current request of a runtime that stops when its response is sent. */

/** Keeps a runtime alive until a promise is settled. */
export type WaitUntil = (promise: Promise<unknown>) => void;

// Where Vercel's functions and Next.js keep the current request.
const REQUEST_CONTEXTS = ["@vercel/request-context", "@next/request-context"].map((name) => Symbol.for(name));

/** Return `waitUntil` of the current request, if the runtime says which one that is. */
export function requestWaitUntil(): WaitUntil | undefined {
  const globals = globalThis as unknown as Record<symbol, { get?: () => unknown } | undefined>;
  for (const name of REQUEST_CONTEXTS) {
    try {
      const context = globals[name]?.get?.() as { waitUntil?: unknown } | undefined;
      if (typeof context?.waitUntil === "function") return context.waitUntil.bind(context) as WaitUntil;
    } catch {
      // no request is open
    }
  }
  return undefined;
}
