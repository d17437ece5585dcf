/** Server-sent events, which apps log as they come from the network. */

import { type Json, toJson } from "./json.js";

const LINE = /^(data|event|id|retry)?:/;

/** Return the data of each event in *text*. Undefined if it has other lines than those of server-sent events. */
export function eventsOf(text: string): Json[] | undefined {
  const lines = text.split(/\r\n|\r|\n/).filter((line) => line.trim());
  if (!lines.every((line) => LINE.test(line)) || (lines.length === 0 && !text)) return undefined;
  const data = lines
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice("data:".length).trim());
  return data.filter((each) => each !== "[DONE]").map(documentOf);
}

function documentOf(data: string): Json {
  try {
    return toJson(JSON.parse(data));
  } catch {
    return data;
  }
}
