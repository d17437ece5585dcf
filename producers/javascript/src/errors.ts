/*
 * What the SDK throws: nothing, once a client is made.
 *
 * PhosphoError
 * └── ConfigError    an option of `init` or `new Phospho` cannot work
 */

/** Base of everything that this package throws. */
export class PhosphoError extends Error {
  override name = "PhosphoError";
}

/** An option cannot work. The message says which, and what to do. */
export class ConfigError extends PhosphoError {
  override name = "ConfigError";
}

/** Return whatever was thrown as one line. Never throws. */
export function errorText(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    return "an error that cannot be shown";
  }
}
