/** The view's script: between VS Code's messages and what is seen. */

import type { ToPanel } from "../messages.js";
import { Kept, type Host } from "./kept.js";
import { PanelView } from "./panel_view.js";

declare function acquireVsCodeApi(): Host;

const host = acquireVsCodeApi();
const view = new PanelView((message) => host.postMessage(message), new Kept(host));
view.show(document.body);
window.addEventListener("message", ({ data }: MessageEvent<ToPanel>) => view.take(data));
host.postMessage({ kind: "ready" });
