/** The custom element, what the script tag does by itself, and `Proactive`, which a page's own scripts use. */

import type { Activity, ClientEvent, Message, ProactiveClient } from "@proactive/client";
import { optionsOf, type WidgetOptions } from "./options.js";
import { Widget } from "./widget.js";

const TAG = "proactive-widget";
const script = document.currentScript instanceof HTMLScriptElement ? document.currentScript : null;
const ORIGIN = script === null || script.src === "" ? location.origin : new URL(script.src).origin;

/**
 * The widget on a page. With every message it sends the event `proactive-message`, whose `detail` is the frame, also
 * of messages that have nothing to show.
 */
export class ProactiveWidget extends HTMLElement {
  /** What to connect with, to be set before it is put into the page; by default its `data-` attributes. */
  options: WidgetOptions | undefined;
  private readonly root = this.attachShadow({ mode: "open" });
  private widget: Widget | undefined;

  connectedCallback(): void {
    if (this.widget !== undefined) return;
    this.widget = new Widget(this.root, this.options ?? optionsOf(this.dataset), ORIGIN, (message: Message) =>
      this.dispatchEvent(new CustomEvent<Message>("proactive-message", { detail: message })),
    );
  }

  disconnectedCallback(): void {
    this.widget?.stop();
    this.widget = undefined;
    this.root.replaceChildren();
  }

  /** The connection, for all that is not here. Rejects where the element is in no page. */
  get client(): Promise<ProactiveClient> {
    return this.widget?.ready ?? Promise.reject(new Error("expected the widget to be in a page, got it outside"));
  }

  /** Tell of something that happened; whether it has got through. */
  async send(event: Activity | Exclude<ClientEvent, Activity>): Promise<boolean> {
    const { delivery } = (await this.client).send(event);
    return (await delivery).status === "acknowledged";
  }

  /** Say something in the user's name, as if they had typed it; whether it has got through. */
  async say(text: string): Promise<boolean> {
    await this.client;
    const delivery = await this.widget?.say(text);
    return delivery?.status === "acknowledged";
  }

  open(): void {
    this.widget?.open();
  }

  close(): void {
    this.widget?.close();
  }

  /** Forget all that this browser keeps of the user: for when they sign out. */
  forget(): void {
    this.widget?.forget();
  }
}

/** Put a widget at the end of the page. `remove()` of what comes back takes it away again. */
export function mount(options: WidgetOptions = {}): ProactiveWidget {
  const made = document.createElement(TAG) as ProactiveWidget;
  made.options = options;
  document.body.append(made);
  return made;
}

declare global {
  interface Window {
    Proactive?: { mount: typeof mount; widget?: ProactiveWidget };
  }
}

// A page that has the script twice has one widget.
if (customElements.get(TAG) === undefined) {
  customElements.define(TAG, ProactiveWidget);
  const proactive: NonNullable<Window["Proactive"]> = { mount };
  window.Proactive = proactive;
  if (script !== null && script.dataset["manual"] === undefined) {
    const options = optionsOf(script.dataset);
    const begin = (): void => {
      proactive.widget = mount(options);
    };
    // In the head there is no body yet.
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin, { once: true });
    else begin();
  }
}
