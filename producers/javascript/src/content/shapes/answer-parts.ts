/** The parts of an answer by their places, to which chunks add. */

import { Growing } from "./growing.js";
import type { Kind, Part } from "./parts.js";

/** A part's place in its answer: the choice, then the order in it. */
export type Place = readonly number[];

/** The parts of an answer by their places. */
export class AnswerParts {
  readonly #parts = new Map<string, { place: Place; part: Growing }>();

  get(place: Place): Growing | undefined {
    return this.#parts.get(place.join())?.part;
  }

  /** Return the part at *place*, a new one of *kind* if there is none. */
  at(place: Place, kind: Kind): Growing {
    const held = this.get(place);
    return held ?? this.set(place, new Growing(kind));
  }

  set(place: Place, part: Growing): Growing {
    this.#parts.set(place.join(), { place, part });
    return part;
  }

  /** Return the number of places that begin with *start*. */
  count(...start: number[]): number {
    return this.#below(start).length;
  }

  /** Replace what *place* holds by whole parts. */
  placeWhole(place: Place, parts: readonly Part[]): void {
    for (const key of this.#below(place)) this.#parts.delete(key);
    for (const [number, { kind, text }] of parts.entries()) {
      this.set([...place, number], new Growing(kind, text));
    }
  }

  /** Remove the calls of tools. */
  dropCalls(): void {
    for (const [key, { part }] of [...this.#parts]) if (part.kind === "call") this.#parts.delete(key);
  }

  clear(): void {
    this.#parts.clear();
  }

  /** Return the parts of each choice, in order. */
  choices(): Part[][] {
    const choices = new Map<number, Part[]>();
    for (const { place, part } of [...this.#parts.values()].sort((a, b) => compare(a.place, b.place))) {
      const [choice = 0] = place;
      choices.set(choice, [...(choices.get(choice) ?? []), part.part()]);
    }
    return [...choices.values()];
  }

  #below(start: Place): string[] {
    const entries = [...this.#parts].filter(([, { place }]) =>
      start.every((number, index) => place[index] === number),
    );
    return entries.map(([key]) => key);
  }
}

function compare(a: Place, b: Place): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? -1) - (b[index] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}
