/** Times in the forms that apps have them in. */

// 1e11 seconds are in the year 5138, 1e11 milliseconds in 1973.
const LARGEST_SECONDS = 1e11;

const ISO_TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(Z|[+-]\d\d:?\d\d)?)?$/i;

/** Return a time as Unix seconds. Text without a zone is UTC, as the server reads it. Undefined if *value* is no time. */
export function unixSeconds(value: unknown): number | undefined {
  if (value instanceof Date) return finite(value.getTime() / 1000);
  if (typeof value === "string" && !/^\d+$/.test(value)) return isoSeconds(value);
  const unixS = ["number", "bigint", "string"].includes(typeof value) ? Number(value) : Number.NaN;
  // Its size tells the unit.
  const power = [9, 6, 3].find((each) => Math.abs(unixS) >= LARGEST_SECONDS * 10 ** (each - 3)) ?? 0;
  return finite(unixS / 10 ** power);
}

function isoSeconds(text: string): number | undefined {
  const [, date, time = "00:00", zone = "Z"] = ISO_TIME.exec(text.trim()) ?? [];
  return date === undefined ? undefined : finite(Date.parse(`${date}T${time}${zone}`) / 1000);
}

function finite(number: number): number | undefined {
  return Number.isFinite(number) ? number : undefined;
}
