/*
 * Groups of events that are retried together after a failure.
 *
 * One event may cause some failures: a server's 500, a transport that throws. A group that keeps failing that way is
 * retried in halves, beside events logged since, so one bad event holds up no other.
 */

import type { QueuedEvent } from "./event.js";

/** Events that are sent together, and their consecutive failures with a suspect code. */
export interface Group {
  events: QueuedEvent[];
  failures: number;
}

export const SUSPECT_CODES = new Set(["http_500", "transport_error"]);

// The first failures are more often the server's. A server that fails every request gets MAX_GROUPS of them a round.
const SPLIT_FROM_FAILURES = 3;
const MAX_GROUPS = 8;

/** Return the number of events in all *groups*. */
export function eventCount(groups: readonly Group[]): number {
  return groups.reduce((sum, group) => sum + group.events.length, 0);
}

/** Return the groups of the next round: the failed ones, halved where suspect, and a new one from *take*. */
export function regrouped(failed: readonly Group[], take: () => QueuedEvent[]): Group[] {
  const isSplit = failed.length < MAX_GROUPS;
  const groups = failed.flatMap((group) =>
    isSplit && isSuspect(group) && group.events.length > 1 ? halves(group) : [group],
  );
  if (groups.length < MAX_GROUPS && failed.some(isSuspect)) {
    const events = take();
    if (events.length > 0) groups.push({ events, failures: 0 });
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
