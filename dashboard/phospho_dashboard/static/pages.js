// The pages work without this: it shows times in the viewer's zone, and switches projects without a click.
"use strict";

const format = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });

for (const element of document.querySelectorAll("time[datetime]")) {
  // The Swedish form is that of the server, 2026-01-31 23:59:59, so nothing moves.
  element.textContent = format.format(new Date(element.dateTime));
}

for (const form of document.querySelectorAll("form[data-submit-on-change]")) {
  form.addEventListener("change", () => form.requestSubmit());
  form.querySelector("button").hidden = true;
}
