// Every page works without scripts. These make it quicker to use; each module says what it adds.
import { drawCharts } from "./charts.js";
import { submitOnChange } from "./forms.js";
import { startLive } from "./live.js";
import { showLocalTimes } from "./times.js";

submitOnChange(document);
showLocalTimes(document);
drawCharts(document);
startLive((part) => {
  showLocalTimes(part);
  drawCharts(part);
});
