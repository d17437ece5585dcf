// Functions, async functions and generators, whose calls are logged.
import { phospho } from "phospho-sdk";

phospho.init();

const shout = phospho.wrap((text) => text.toUpperCase());
const whisper = phospho.wrap(async (text) => text.toLowerCase(), { metadata: { team: "blue" } });
const spell = phospho.wrap(function* (text) {
  yield* text;
});

console.log(shout("Hello"));
console.log(await whisper("Hello"));
console.log([...spell("Hello")].join("-"));
await phospho.flush();
