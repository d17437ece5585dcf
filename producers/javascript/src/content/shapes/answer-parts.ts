/** The parts of an answer by their places, to which chunks add. */

import { Growing } from "./growing.js";
import type { Kind, Part } from "./parts.js";

/** A part's place in its answer: the choice, then the order in it. */
export type Place = readonly number[];

/** The parts of an answer by their places. */
export class AnswerParts {
  readonly #parts = new Map<string, { place: Place; part: Growing }>();
  // The places of parts below each place, so that none has to be searched for.
  readonly #below = new Map<string, Map<string, Place>>();

  get isEmpty(): boolean {
    return this.#parts.size === 0;
  }

  get(place: Place): Growing | undefined {
    return this.#parts.get(place.join())?.part;
  }

  /** Return the part at *place*, a new one of *kind* if there is none. */
  at(place: Place, kind: Kind): Growing {
    const held = this.get(place);
    return held ?? this.set(place, new Growing(kind));
  }

  set(place: Place, part: Growing): Growing {
    const key = place.join();
    this.#parts.set(key, { place, part });
    for (const above of keysAbove(place)) {
      const below = this.#below.get(above) ?? new Map<string, Place>();
      this.#below.set(above, below.set(key, place));
    }
    return part;
  }

  /** Return the number of places below *start*. */
  count(...start: number[]): number {
    return this.#below.get(start.join())?.size ?? 0;
  }

  /** Replace what *place* holds by whole parts. */
  placeWhole(place: Place, parts: readonly Part[]): void {
    for (const old of [place, ...(this.#below.get(place.join())?.values() ?? [])]) this.#remove(old);
    for (const [number, { kind, text }] of parts.entries()) {
      this.set([...place, number], new Growing(kind, text));
    }
  }

  /** Remove the calls of tools. */
  dropCalls(): void {
    for (const { place, part } of [...this.#parts.values()]) if (part.kind === "call") this.#remove(place);
  }

  clear(): void {
    this.#parts.clear();
    this.#below.clear();
  }

  /** Return the parts of each choice, in order. */
  choices(): Part[][] {
    const choices = new Map<number, Part[]>();
    for (const { place, part } of [...this.#parts.values()].sort((a, b) => compare(a.place, b.place))) {
      const [choice = 0] = place;
      const parts = choices.get(choice);
      if (parts) parts.push(part.part());
      else choices.set(choice, [part.part()]);
    }
    return [...choices.values()];
  }

  #remove(place: Place): void {
    const key = place.join();
    if (!this.#parts.delete(key)) return;
    for (const above of keysAbove(place)) this.#below.get(above)?.delete(key);
  }
}

/** Return the keys of the places that *place* is below: of its choice and order, and of all between. */
function keysAbove(place: Place): string[] {
  return place.slice(2).map((_, index) => place.slice(0, index + 2).join());
}

function compare(a: Place, b: Place): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? -1) - (b[index] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}
