// Every page works without scripts. These make it quicker to use; each module says what it adds.
import { actInPlace, sendByKey, shortcuts } from "./acting.js";
import { drawCharts } from "./charts.js";
import { submitOnChange } from "./forms.js";
import { startLive } from "./live.js";
import { showLocalTimes } from "./times.js";

submitOnChange(document);
// On a small screen the navigation scrolls, and so do tabs: the page that is open must be in sight.
for (const current of document.querySelectorAll("nav [aria-current]")) {
  current.scrollIntoView({ block: "nearest", inline: "center" });
}
showLocalTimes(document);
drawCharts(document);
actInPlace(document);
shortcuts(document);
sendByKey(document);
document.addEventListener("findings", (event) => showLocalTimes(event.target));
startLive((part) => {
  showLocalTimes(part);
  drawCharts(part);
});
