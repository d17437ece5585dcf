// Chunks, logged as they are iterated: one task, sent when the stream ends.
import { phospho } from "phospho-sdk";

phospho.init();

async function* chunks() {
  for (const content of ["Six ", "times ", "seven."]) yield { choices: [{ delta: { content } }] };
}

const stream = chunks();
phospho.log({ input: "Spell 6 x 7", output: stream, stream: true });

let text = "";
for await (const chunk of stream) text += chunk.choices[0].delta.content;
console.log(text);
await phospho.flush();
