/** All that is seen: the launcher, the peek of a question, and the panel. It decides nothing and knows no connection. */

import type { ConnectionState } from "@proactive/client";
import { Composer } from "./composer.js";
import { button, make } from "./dom.js";
import type { Deeds } from "./item_view.js";
import type { Item, Shown } from "./conversation.js";
import { ListView } from "./list_view.js";
import { SettingsView, type Wishes } from "./settings_view.js";
import { StateView } from "./state_view.js";
import { STYLE } from "./style.js";
import { teaserOf } from "./text.js";
import { loudnessOf, textOf } from "./words.js";

export interface Moves {
  say(text: string): void;
  toggled(isOpen: boolean): void;
  reconnect(): void;
  dismiss(item: Shown): void;
}

const NARROW = "(max-width: 479.98px)";

export class Panel {
  readonly settings: SettingsView;
  private readonly corner: HTMLElement;
  private readonly badge = make("span", { class: "badge" });
  private readonly launcher: HTMLButtonElement;
  private readonly peek = make("section", { class: "peek", attributes: { "aria-label": "New question" } });
  private readonly window: HTMLElement;
  private readonly list: ListView;
  private readonly composer: Composer;
  private readonly state: StateView;
  // What is said to screen readers alone: what comes while the panel is closed, and what a click has done.
  private readonly said = make("div", { class: "unseen", attributes: { role: "status" } });

  constructor(
    private readonly root: ShadowRoot,
    title: string,
    deeds: Deeds,
    private readonly moves: Moves,
    wishes: Wishes,
  ) {
    this.settings = new SettingsView(wishes);
    this.list = new ListView(deeds, make("p", {}, "Nothing yet. What may help you will stand here."));
    this.composer = new Composer((text) => moves.say(text));
    this.state = new StateView(() => moves.reconnect());
    const close = button("×", () => this.close(), { class: "icon", label: "Close" });
    const top = make(
      "div",
      { class: "top" },
      make("h2", { attributes: { id: "title" } }, title),
      this.settings.gear,
      close,
    );
    this.window = make(
      "section",
      { class: "panel", attributes: { id: "panel", role: "dialog", "aria-labelledby": "title", tabindex: -1 } },
      top,
      this.settings.root,
      this.list.root,
      this.composer.root,
      this.state.root,
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
    this.list.toEnd();
    // On a phone a field with the focus would bring up the keyboard over half of the messages.
    if (isAsked) (isNarrow ? this.window : this.composer.field).focus();
    this.moves.toggled(true);
  }

  close(): void {
    if (!this.isOpen) return;
    const hadFocus = this.root.activeElement !== null;
    this.settings.toggle(false);
    this.window.hidden = true;
    this.launcher.hidden = false;
    this.corner.classList.remove("open");
    if (hadFocus) this.launcher.focus();
    this.moves.toggled(false);
  }

  draw(item: Item): void {
    this.list.draw(item);
  }

  erase(id: string): void {
    this.list.erase(id);
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
    this.state.show(state, line, canReconnect);
  }

  /** Tell those who listen. */
  announce(text: string): void {
    this.said.textContent = text;
  }

  private pressed(event: KeyboardEvent): void {
    if (event.key !== "Escape" || event.isComposing || !this.isOpen) return;
    event.stopPropagation();
    if (this.settings.isShown) this.settings.toggle(false);
    else this.close();
  }
}
