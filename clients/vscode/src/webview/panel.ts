/** The view. It decides nothing: it draws what the host says, and tells what the user does. */

import type { FromPanel, ToPanel } from "../messages.js";

declare function acquireVsCodeApi(): { postMessage(message: FromPanel): void };

const host = acquireVsCodeApi();
const place = document.createElement("p");
document.body.append(place);
window.addEventListener("message", ({ data }: MessageEvent<ToPanel>) => {
  if (data.kind === "state") place.textContent = data.line;
});
host.postMessage({ kind: "ready" });
