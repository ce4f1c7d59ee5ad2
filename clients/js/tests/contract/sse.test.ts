/** This way against a real server: what is promised of all of them holds. */

import { keepsItsPromises } from "../promises.js";

keepsItsPromises("sse");
