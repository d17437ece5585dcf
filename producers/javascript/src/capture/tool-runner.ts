/** Runners of Anthropic's client, which call tools until the model has an answer. */

import type { Settle } from "./api-promise.js";
import { after, hasMethod, hasMethods, isObject, type Method, type Watched } from "./methods.js";

type Step = IteratorResult<unknown>;

/** Return whether *value* is a tool runner: it is awaited for its last answer, or iterated for all of them. */
export function isToolRunner(value: object): boolean {
  return hasMethods(value, [Symbol.asyncIterator, "runUntilDone"]);
}

/** Call *settle* with the last answer, however the app runs *runner*: by iterating, which awaiting does too. */
export function watchToolRunner(runner: object, settle: Settle): void {
  after(runner, Symbol.asyncIterator, (iterator) => {
    let last: unknown = null;
    const keep = (answer: unknown) => {
      last = answer;
    };
    const note = ({ done, value }: Step) => {
      if (done) settle(last);
      else if (isObject(value)) keepAnswer(value, keep);
    };
    after(iterator as object, "next", (step) => {
      (step as PromiseLike<Step>).then(note, (error) => settle(last, error));
    });
    after(iterator as object, "return", () => settle(last));
  });
}

/** Keep an answer, or that of a stream helper once it is whole. */
function keepAnswer(value: object, keep: (answer: unknown) => void): void {
  if (!hasMethod(value, "finalMessage")) keep(value);
  else if (hasMethod(value, "on")) ((value as Watched).on as Method).call(value, "finalMessage", keep);
}
