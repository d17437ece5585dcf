/** What a person clicked or typed, as the verdict "success" or "failure". */

export type Flag = "success" | "failure";

const SUCCESS_SIGNS = new Set("👍 🙂 😀 😊 ❤️ ⭐ success thumbs_up up good yes true 1 +1".split(" "));

/** Return what *rawFlagToFlag* makes of *rawFlag*; else the known signs are a success. */
export function verdict(rawFlag: unknown, rawFlagToFlag?: (rawFlag: never) => string): string {
  if (rawFlagToFlag) return rawFlagToFlag(rawFlag as never);
  return SUCCESS_SIGNS.has(String(rawFlag).trim().toLowerCase()) ? "success" : "failure";
}
