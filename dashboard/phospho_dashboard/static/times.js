// Times in the viewer's zone. The server writes UTC in the same form, 2026-01-31 23:59:59, so that nothing moves.

const format = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });

/** Return a moment as the pages write it, in the viewer's zone. */
export function localTime(date) {
  return format.format(date);
}

/** Show each <time datetime> below `root` in the viewer's zone; a day without an hour stays as it is. Idempotent. */
export function showLocalTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    if (element.dateTime.length > 10) element.textContent = localTime(new Date(element.dateTime));
  }
}
