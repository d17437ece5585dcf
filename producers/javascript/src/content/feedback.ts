/** Feedback on tasks and labels of events, as they are sent. */

import { type JsonObject, textOf, toJson } from "./json.js";

export type Flag = "success" | "failure";

/** Feedback on a task as a score. */
export interface Feedback {
  /** The `eventId` that `log` returned. */
  eventId: string;
  /** 1 (positive) or 0 (negative). */
  score: number | boolean;
  comment?: string | null | undefined;
}

/** Feedback on a task as a flag, or as any sign that the app's user clicked. */
export interface UserFeedback {
  taskId: string;
  flag?: Flag | null | undefined;
  notes?: string | null | undefined;
  /** Author of the feedback. Default: "user". */
  source?: string | null | undefined;
  /** The clicked sign: 👍, 🙂, 😀, "success" and the like are a success, everything else is a failure. */
  rawFlag?: unknown;
  /** Converts `rawFlag` to a flag. */
  // biome-ignore lint/suspicious/noExplicitAny: the app knows what it passes
  rawFlagToFlag?: ((rawFlag: any) => Flag) | undefined;
}

/** An event of a task. */
export interface EventOfTask {
  taskId: string;
  /** The event's name, as the project defined it. */
  name: string;
}

/** A person's label of an event of a task. */
export interface EventLabel extends EventOfTask {
  comment?: string | null | undefined;
}

const SUCCESS_SIGNS = new Set("👍 🙂 😀 😊 ❤️ ⭐ success thumbs_up up good yes true 1 +1".split(" "));

/** Return the flag of *feedback*, converted from its `rawFlag` if it has no `flag`. Undefined if it has neither. */
export function flagOf({ flag, rawFlag, rawFlagToFlag }: Partial<UserFeedback>): string | undefined {
  if (flag != null) return flag;
  if (rawFlag == null) return undefined;
  if (rawFlagToFlag) return rawFlagToFlag(rawFlag);
  return SUCCESS_SIGNS.has(String(rawFlag).trim().toLowerCase()) ? "success" : "failure";
}

/** Return the content of one feedback. Fields that are null or undefined are left out. */
export function feedbackContent(
  feedbackId: string,
  taskId: unknown,
  fields: Readonly<Record<string, unknown>>,
): JsonObject {
  const content = {
    task_id: textOf(taskId),
    ...fields,
    feedback_id: feedbackId,
    client_created_at: Date.now() / 1000,
  };
  const present = Object.entries(content).filter(([, value]) => value != null);
  return toJson(Object.fromEntries(present)) as JsonObject;
}

/** Return the content of one label. Undefined if it lacks the task or the event. */
export function labelContent(
  { taskId, name, comment }: Partial<EventLabel>,
  label: "confirmed" | "rejected" | "",
): JsonObject | undefined {
  if (!taskId || !name) return undefined;
  const content: JsonObject = { event: textOf(name), task_id: textOf(taskId), label };
  if (comment != null) content.comment = textOf(comment);
  return content;
}
