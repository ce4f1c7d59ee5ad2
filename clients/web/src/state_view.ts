/** The line about the connection. */

import type { ConnectionState } from "@proactive/client";
import { button, make } from "./dom.js";

export class StateView {
  readonly root: HTMLElement;
  private readonly line = make("span", { attributes: { role: "status" } });
  private readonly again: HTMLButtonElement;

  constructor(reconnect: () => void) {
    this.again = button("Try again", reconnect);
    this.again.hidden = true;
    const dot = make("span", { class: "dot", attributes: { "aria-hidden": "true" } });
    this.root = make("div", { class: "foot" }, dot, this.line, this.again);
  }

  show(state: ConnectionState["state"], line: string, canReconnect: boolean): void {
    this.root.dataset["state"] = state;
    // The same again would be read out again.
    if (this.line.textContent !== line) this.line.textContent = line;
    this.again.hidden = !canReconnect;
  }
}
