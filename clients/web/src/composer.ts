/** Where the user writes. What is sent is told to whoever made it. */

import { make } from "./dom.js";

export class Composer {
  readonly root: HTMLFormElement;
  readonly field: HTMLTextAreaElement;

  /** `changed`: with what stands there, whenever that is another text. */
  constructor(say: (text: string) => void, changed: (draft: string) => void = () => {}) {
    this.field = make("textarea", {
      attributes: { rows: 1, "aria-label": "Your message", placeholder: "Write a message", maxlength: 8000 },
    });
    const send = make("button", { class: "send" }, "Send");
    this.root = make("form", { class: "compose", attributes: { "aria-label": "Write" } }, this.field, send);
    this.root.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.field.value.trim();
      if (text === "") return;
      this.field.value = "";
      this.fit();
      changed("");
      say(text);
    });
    this.field.addEventListener("keydown", (event) => {
      // While a character is being composed, Enter belongs to that.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.root.requestSubmit();
    });
    this.field.addEventListener("input", () => {
      this.fit();
      changed(this.field.value);
    });
  }

  /** As high as what stands there, as far as the style lets it. */
  fit(): void {
    this.field.style.height = "";
    this.field.style.height = `${this.field.scrollHeight + 2}px`;
  }
}
