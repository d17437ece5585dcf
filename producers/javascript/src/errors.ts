/*
 * Exceptions of the SDK. Once a client is made, none is thrown.
 *
 * PhosphoError
 * └── ConfigError    an option of `init` or `new Phospho` cannot work
 */

/** Base of all exceptions of this package. */
export class PhosphoError extends Error {
  override name = "PhosphoError";
}

/** An option cannot work. The message names it and the remedy. */
export class ConfigError extends PhosphoError {
  override name = "ConfigError";
}

/** Return any thrown value as one line. Never throws. */
export function errorText(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    return "an error that cannot be shown";
  }
}
