// Every page works without scripts. These make it quicker to use; each module says what it adds.
import { showLocalTimes } from "./times.js";
import { submitOnChange } from "./forms.js";

showLocalTimes(document);
submitOnChange(document);
