/** Ids made on the client, so that a retry carries the id of the first attempt. */

const MAX_COUNTER = 0xfff;
// If the clock steps back by more than this, it was wrong before: ids follow it.
const MAX_STEP_BACK_MS = 60_000;

let lastMs = 0;
let counter = 0;

/**
 * Return a UUID of version 7 (RFC 9562, section 5.7) that is greater than the one before.
 *
 * After 48 bits of Unix milliseconds come 12 bits that count within the millisecond (section 6.2, method 1) and 62 random
 * bits. When the counter is used up, or the clock steps back, the time continues from the last id. The server's times
 * have milliseconds, so the ids keep the order of tasks of one millisecond. Its tables are sorted by id, so their parts
 * stay disjoint.
 */
export function newId(): string {
  tick(Date.now());
  const bytes = randomBytes(16);
  for (let index = 0; index < 6; index++) {
    bytes[index] = Math.floor(lastMs / 256 ** (5 - index)) & 0xff;
  }
  bytes[6] = 0x70 | (counter >> 8);
  bytes[7] = counter & 0xff;
  bytes[8] = 0x80 | (byteAt(bytes, 8) & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** Advance `counter`, which carries into `lastMs`. */
function tick(nowMs: number): void {
  if (nowMs > lastMs || nowMs < lastMs - MAX_STEP_BACK_MS) {
    lastMs = nowMs;
    counter = 0;
  } else if (counter < MAX_COUNTER) {
    counter++;
  } else {
    lastMs++;
    counter = 0;
  }
}

function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  // Node 18 has it only behind a flag. Ids must differ, but need not be secret.
  if (typeof crypto === "undefined") {
    return bytes.map(() => Math.floor(Math.random() * 256));
  }
  return crypto.getRandomValues(bytes);
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}
