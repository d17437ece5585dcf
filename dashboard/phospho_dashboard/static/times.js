// The server writes every time in the zone of the project, or in that of the browser, which it learns here.

const root = document.documentElement;

/** Tell the server the zone of this browser, and open the page again if it was written in another one. */
export function tellTimeZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || document.cookie.split("; ").includes(`time_zone=${zone}`)) return;
  document.cookie = `time_zone=${zone}; path=/; max-age=31536000; SameSite=Lax`;
  const isStored = document.cookie.split("; ").includes(`time_zone=${zone}`);
  if (isStored && "timeZoneOfBrowser" in root.dataset && root.dataset.timeZone !== zone) location.reload();
}

/** Return a moment as the pages write it. */
export function localTime(date) {
  return new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone: root.dataset.timeZone }).format(date);
}
