/** The parts of an answer by their places, to which chunks add. */

import type { Kind, Part } from "./parts.js";
import { StreamedPart } from "./streamed-part.js";

/** A part's place in its answer: the choice, then the order in it. */
export type Place = readonly number[];

/** The parts of an answer by their places. */
export class AnswerParts {
  readonly #parts = new Map<string, { place: Place; part: StreamedPart }>();
  // The places of parts below each place, so that none has to be searched for.
  readonly #descendants = new Map<string, Map<string, Place>>();

  get isEmpty(): boolean {
    return this.#parts.size === 0;
  }

  get(place: Place): StreamedPart | undefined {
    return this.#parts.get(place.join())?.part;
  }

  /** Return the part at *place*, a new one of *kind* if there is none. */
  at(place: Place, kind: Kind): StreamedPart {
    const part = this.get(place);
    return part ?? this.set(place, new StreamedPart(kind));
  }

  set(place: Place, part: StreamedPart): StreamedPart {
    const key = place.join();
    this.#parts.set(key, { place, part });
    for (const ancestor of ancestorKeys(place)) {
      const descendants = this.#descendants.get(ancestor) ?? new Map<string, Place>();
      this.#descendants.set(ancestor, descendants.set(key, place));
    }
    return part;
  }

  /** Return the number of places below *start*. */
  count(...start: number[]): number {
    return this.#descendants.get(start.join())?.size ?? 0;
  }

  /** Replace what *place* holds by whole parts. */
  replace(place: Place, parts: readonly Part[]): void {
    for (const old of [place, ...(this.#descendants.get(place.join())?.values() ?? [])]) this.#remove(old);
    for (const [number, { kind, text }] of parts.entries()) {
      this.set([...place, number], new StreamedPart(kind, text));
    }
  }

  /** Remove the calls of tools. */
  dropCalls(): void {
    for (const { place, part } of [...this.#parts.values()]) if (part.kind === "call") this.#remove(place);
  }

  clear(): void {
    this.#parts.clear();
    this.#descendants.clear();
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
    for (const ancestor of ancestorKeys(place)) this.#descendants.get(ancestor)?.delete(key);
  }
}

/** Return the keys of the places that *place* is below: of its choice and order, and of all between. */
function ancestorKeys(place: Place): string[] {
  return place.slice(2).map((_, index) => place.slice(0, index + 2).join());
}

function compare(a: Place, b: Place): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? -1) - (b[index] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}
