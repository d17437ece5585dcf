// A session of several tasks, with messages as the client libraries have them.
import { phospho } from "phospho-sdk";

phospho.init();

const sessionId = phospho.newSession();
const messages = [{ role: "system", content: "Be brief." }];
const turns = [
  ["Hello", "Hi!"],
  ["What is 2+2?", "4"],
  ["Thanks", "Welcome!"],
];

for (const [question, answer] of turns) {
  messages.push({ role: "user", content: question });
  const response = { choices: [{ message: { role: "assistant", content: answer } }] };
  const logged = await phospho.log({ input: { messages }, output: response, sessionId });
  messages.push(response.choices[0].message);
  console.log(`${logged.input} -> ${logged.output}`);
}
await phospho.flush();
