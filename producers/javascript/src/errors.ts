/*
 * Exceptions of the SDK. Once a client is made, none is thrown.
 *
 * PhosphoError
 * └── ConfigError    an option of `init` or `new Phospho` cannot work
 */

import { textOf } from "./content/json.js";

/** Base of all exceptions of this package. */
export class PhosphoError extends Error {
  override name = "PhosphoError";
}

/** An option cannot work. The message names it and the remedy. */
export class ConfigError extends PhosphoError {
  override name = "ConfigError";
}

const MAX_ERROR_CHARACTERS = 2000;

/** Return the type and the text of any thrown value, cut, as the Python SDK has them. Never throws. */
export function errorText(error: unknown): string {
  try {
    if (!(error instanceof Error)) return textOf(error).slice(0, MAX_ERROR_CHARACTERS);
    // Clients of providers name their errors by class alone.
    const name = (error.name === "Error" && error.constructor?.name) || error.name;
    const text = textOf(error.message).slice(0, MAX_ERROR_CHARACTERS);
    return text ? `${name}: ${text}` : name;
  } catch {
    return "an error that cannot be shown";
  }
}
