/** All that is seen: the launcher, the peek of a question, and the panel. It decides nothing and knows no connection. */

import type { ConnectionState } from "@proactive/client";
import { button, make } from "./dom.js";
import { drawItem, loudnessOf, textOf, type Deeds } from "./item_view.js";
import type { Item, Shown } from "./conversation.js";
import { SettingsView, type Wishes } from "./settings_view.js";
import { STYLE } from "./style.js";
import { teaserOf } from "./text.js";

export interface Moves {
  say(text: string): void;
  toggled(isOpen: boolean): void;
  reconnect(): void;
  dismiss(item: Shown): void;
}

/** How near to its end the list counts as read to the end, in pixels. */
const NEAR_END = 60;
const NARROW = "(max-width: 479.98px)";

export class Panel {
  readonly settings: SettingsView;
  private readonly corner: HTMLElement;
  private readonly badge = make("span", { class: "badge" });
  private readonly launcher: HTMLButtonElement;
  private readonly peek = make("section", { class: "peek", attributes: { "aria-label": "New question" } });
  private readonly window: HTMLElement;
  private readonly list: HTMLElement;
  private readonly field: HTMLTextAreaElement;
  private readonly gear: HTMLButtonElement;
  private readonly foot = make("div", { class: "foot" });
  private readonly line = make("span", { attributes: { role: "status" } });
  private readonly again: HTMLButtonElement;
  // What is said to screen readers alone: what comes while the panel is closed, and what a click has done.
  private readonly said = make("div", { class: "unseen", attributes: { role: "status" } });
  private readonly drawn = new Map<string, HTMLElement>();
  private readonly empty = make("p", { class: "empty" }, "Nothing yet. What may help you will stand here.");

  constructor(
    private readonly root: ShadowRoot,
    title: string,
    private readonly deeds: Deeds,
    private readonly moves: Moves,
    wishes: Wishes,
  ) {
    this.settings = new SettingsView(wishes);
    const list = {
      tabindex: 0,
      role: "log",
      "aria-live": "polite",
      "aria-relevant": "additions",
      "aria-label": "Messages",
    };
    this.list = make("div", { class: "list", attributes: list }, this.empty);
    this.field = make("textarea", {
      attributes: { rows: 1, "aria-label": "Your message", placeholder: "Write a message", maxlength: 8000 },
    });
    this.gear = button("⚙", () => this.showSettings(this.settings.root.hidden), { class: "icon", label: "Settings" });
    this.gear.setAttribute("aria-expanded", "false");
    this.gear.setAttribute("aria-controls", "settings");
    this.again = button("Try again", () => moves.reconnect());
    this.again.hidden = true;
    const close = button("×", () => this.close(), { class: "icon", label: "Close" });
    const top = make("div", { class: "top" }, make("h2", { attributes: { id: "title" } }, title), this.gear, close);
    this.foot.append(make("span", { class: "dot", attributes: { "aria-hidden": "true" } }), this.line, this.again);
    this.window = make(
      "section",
      { class: "panel", attributes: { id: "panel", role: "dialog", "aria-labelledby": "title", tabindex: -1 } },
      top,
      this.settings.root,
      this.list,
      this.composer(),
      this.foot,
    );
    this.launcher = button(title, () => this.open(), { class: "launcher" });
    this.launcher.setAttribute("aria-expanded", "false");
    this.launcher.setAttribute("aria-haspopup", "dialog");
    this.launcher.append(" ", this.badge);
    this.window.hidden = this.peek.hidden = this.badge.hidden = true;
    // A landmark of its own: the launcher belongs to nothing else on the page.
    this.corner = make("aside", { class: "corner", attributes: { "aria-label": title } });
    this.corner.append(this.peek, this.window, this.launcher, this.said);
    this.corner.addEventListener("keydown", (event) => this.pressed(event));
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    root.append(this.corner);
  }

  get isOpen(): boolean {
    return !this.window.hidden;
  }

  /**
   * `isAsked`: by somebody. A page that opens it by itself leaves the focus where it is, and does so only where there is
   * room beside it.
   */
  open(isAsked = true): void {
    const isNarrow = matchMedia(NARROW).matches;
    if (this.isOpen || (!isAsked && isNarrow)) return;
    this.window.hidden = false;
    this.launcher.hidden = true;
    this.peek.hidden = true;
    this.corner.classList.add("open");
    this.list.scrollTop = this.list.scrollHeight;
    // On a phone a field with the focus would bring up the keyboard over half of the messages.
    if (isAsked) (isNarrow ? this.window : this.field).focus();
    this.moves.toggled(true);
  }

  close(): void {
    if (!this.isOpen) return;
    const hadFocus = this.root.activeElement !== null;
    this.showSettings(false);
    this.window.hidden = true;
    this.launcher.hidden = false;
    this.corner.classList.remove("open");
    if (hadFocus) this.launcher.focus();
    this.moves.toggled(false);
  }

  /** Draw it, at the end or in the place that it has. */
  draw(item: Item): void {
    const isAtEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < NEAR_END;
    const made = drawItem(item, this.deeds);
    const old = this.drawn.get(item.id);
    const hadFocus = old?.contains(this.root.activeElement) ?? false;
    this.drawn.set(item.id, made);
    if (old === undefined) this.list.append(made);
    else old.replaceWith(made);
    if (hadFocus) made.focus();
    this.empty.remove();
    if (isAtEnd || (old === undefined && item.kind === "said")) this.list.scrollTop = this.list.scrollHeight;
  }

  erase(id: string): void {
    const old = this.drawn.get(id);
    if (old === undefined) return;
    const hadFocus = old.contains(this.root.activeElement);
    const next = old.nextElementSibling ?? old.previousElementSibling;
    old.remove();
    this.drawn.delete(id);
    if (this.drawn.size === 0) this.list.append(this.empty);
    if (hadFocus) (next instanceof HTMLElement ? next : this.list).focus();
  }

  /** `unread`: the messages that nobody has seen. Questions are shown, the rest is counted. */
  showUnread(unread: readonly Shown[]): void {
    this.badge.hidden = unread.length === 0;
    this.badge.replaceChildren();
    if (unread.length > 0) {
      this.badge.append(unread.length > 9 ? "9+" : String(unread.length), make("span", { class: "unseen" }, " new"));
    }
    const question = unread.filter((item) => loudnessOf(item) === "question").at(-1);
    const hadFocus = this.peek.contains(this.root.activeElement);
    this.peek.hidden = question === undefined || this.isOpen;
    this.peek.replaceChildren();
    if (question !== undefined) {
      this.peek.append(
        make("p", { attributes: { dir: "auto" } }, teaserOf(textOf(question))),
        make(
          "div",
          { class: "row" },
          button("Show", () => this.open(), { label: "Show the question" }),
          button("Not now", () => this.moves.dismiss(question)),
        ),
      );
    }
    if (hadFocus && !this.isOpen) (this.peek.querySelector("button") ?? this.launcher).focus();
  }

  showState(state: ConnectionState["state"], line: string, canReconnect: boolean): void {
    this.foot.dataset["state"] = state;
    // The same again would be read out again.
    if (this.line.textContent !== line) this.line.textContent = line;
    this.again.hidden = !canReconnect;
  }

  /** Tell those who listen. */
  announce(text: string): void {
    this.said.textContent = text;
  }

  private composer(): HTMLElement {
    const form = make(
      "form",
      { class: "compose", attributes: { "aria-label": "Write" } },
      this.field,
      make("button", { class: "send" }, "Send"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.field.value.trim();
      if (text === "") return;
      this.field.value = "";
      this.fit();
      this.moves.say(text);
    });
    this.field.addEventListener("keydown", (event) => {
      // While a character is being composed, Enter belongs to that.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    this.field.addEventListener("input", () => this.fit());
    return form;
  }

  private fit(): void {
    this.field.style.height = "";
    this.field.style.height = `${this.field.scrollHeight + 2}px`;
  }

  private showSettings(isShown: boolean): void {
    const hadFocus = this.settings.root.contains(this.root.activeElement);
    this.settings.root.hidden = !isShown;
    this.gear.setAttribute("aria-expanded", String(isShown));
    if (hadFocus && !isShown) this.gear.focus();
  }

  private pressed(event: KeyboardEvent): void {
    if (event.key !== "Escape" || event.isComposing || !this.isOpen) return;
    event.stopPropagation();
    if (!this.settings.root.hidden) this.showSettings(false);
    else this.close();
  }
}
