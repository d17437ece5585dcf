/*
 * Which events are sent together after a failure.
 *
 * Some answers may be the doing of one event: a server's 500, a transport that throws. A group that fails so
 * again and again is tried in halves, beside what has been logged since. One such event then holds up nobody.
 */

import type { QueuedEvent } from "./queue.js";

/** Events that are sent together, and how often in a row they failed in a suspect way. */
export interface Group {
  events: QueuedEvent[];
  failures: number;
}

export const SUSPECT_CODES = new Set(["http_500", "transport_error"]);

// The first failures are more often the server's; and a server that fails all is asked this often a round.
const SPLIT_FROM_FAILURES = 3;
const MAX_GROUPS = 8;

/** Return the number of events. */
export function eventsIn(groups: readonly Group[]): number {
  return groups.reduce((sum, group) => sum + group.events.length, 0);
}

/** Return the groups of the next round: the failed ones, split where suspect, and a new one of *take*. */
export function regrouped(failed: readonly Group[], take: () => QueuedEvent[]): Group[] {
  const isSplit = failed.length < MAX_GROUPS;
  const groups = failed.flatMap((group) =>
    isSplit && isSuspect(group) && group.events.length > 1 ? halves(group) : [group],
  );
  if (groups.length < MAX_GROUPS && failed.some(isSuspect)) {
    const fresh = take();
    if (fresh.length > 0) groups.push({ events: fresh, failures: 0 });
  }
  return groups;
}

function isSuspect(group: Group): boolean {
  return group.failures >= SPLIT_FROM_FAILURES;
}

function halves({ events }: Group): Group[] {
  const middle = Math.floor(events.length / 2);
  const failures = SPLIT_FROM_FAILURES - 1;
  return [
    { events: events.slice(0, middle), failures },
    { events: events.slice(middle), failures },
  ];
}
