// Every page works without scripts. These modules make it quicker to use.
import { annotateInPlace, enableShortcuts, submitByKey } from "./annotations.js";
import { drawCharts } from "./charts.js";
import { offerValues, showBusy, submitOnChange } from "./forms.js";
import { startLive } from "./live.js";
import { drawMaps } from "./map.js";
import { enableEditors } from "./sql.js";
import { tellTimeZone } from "./times.js";
import { takeUploads } from "./upload.js";

tellTimeZone();
submitOnChange(document);
offerValues(document);
showBusy(document);
// On a small screen the navigation scrolls, and so do tabs: the page that is open must be in sight.
for (const current of document.querySelectorAll("nav [aria-current]")) {
  current.scrollIntoView({ block: "nearest", inline: "center" });
}
drawCharts(document);
drawMaps(document);
enableEditors(document);
annotateInPlace(document);
enableShortcuts(document);
submitByKey(document);
takeUploads(document);
startLive(drawCharts);
