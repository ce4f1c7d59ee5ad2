/** All that is seen in the view. It decides nothing: what is done is told to the host, and what came of it comes back. */

import { Composer } from "@proactive/widget/composer.js";
import type { Item } from "@proactive/widget/conversation.js";
import { button, make } from "@proactive/widget/dom.js";
import type { Deeds } from "@proactive/widget/item_view.js";
import { ListView } from "@proactive/widget/list_view.js";
import { SettingsView } from "@proactive/widget/settings_view.js";
import { StateView } from "@proactive/widget/state_view.js";
import type { FromPanel, ToPanel } from "../messages.js";
import type { Kept } from "./kept.js";

/** Who has not scrolled for so long reads, in milliseconds. */
const REST_MS = 100;

export class PanelView {
  private readonly list: ListView;
  private readonly composer: Composer;
  private readonly settings: SettingsView;
  private readonly state: StateView;
  // What is said to screen readers alone.
  private readonly said = make("div", { class: "unseen", attributes: { role: "status" } });
  /** How far the server's clock is before this one, in milliseconds. */
  private ahead = 0;
  private isDrawn = false;
  private resting: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly tell: (message: FromPanel) => void,
    private readonly kept: Kept,
  ) {
    this.settings = new SettingsView({
      level: (level) => tell({ kind: "level", level }),
      snooze: (how) => tell({ kind: "snooze", how }),
      unmute: (name) => tell({ kind: "unmute", name }),
    });
    this.state = new StateView(() => tell({ kind: "reconnect" }));
    this.list = new ListView(this.deeds(), ...this.introduction());
    this.composer = new Composer(
      (text) => tell({ kind: "say", text }),
      (draft) => (kept.draft = draft),
    );
  }

  /** Put it into the page. */
  show(page: HTMLElement): void {
    const { list, composer, settings, state } = this;
    const title = make("h1", { class: "unseen" }, "Proactive");
    const top = make("div", { class: "top" }, state.root, settings.gear);
    page.append(make("main", {}, title, top, settings.root, list.root, composer.root, this.said));
    page.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing && settings.isShown) settings.toggle(false);
    });
    list.root.addEventListener("scroll", () => this.scrolled());
    composer.field.value = this.kept.draft;
    composer.fit();
  }

  /** Do what the host says. */
  take(message: ToPanel): void {
    switch (message.kind) {
      case "all":
        return this.takeAll(message);
      case "put":
        if (!isOpen(message.item)) this.kept.drafts.delete(message.item.id);
        return this.list.draw(message.item);
      case "erase":
        this.kept.drafts.delete(message.id);
        return this.list.erase(message.id);
      case "state":
        return this.state.show(message.state, message.line, message.canReconnect);
      case "wishes": {
        // The widget's drawing has it as the protocol does, in seconds.
        const until = message.snoozedUntil === null ? null : message.snoozedUntil / 1000;
        return this.settings.show({ ...message, snoozedUntil: until }, this.now);
      }
      case "announce":
        this.said.textContent = message.text;
        return;
      case "focus":
        if (message.id === undefined || !this.list.focus(message.id)) this.composer.field.focus();
    }
  }

  private takeAll({ items, now }: Extract<ToPanel, { kind: "all" }>): void {
    const place = this.isDrawn ? this.list.place : this.kept.place;
    this.ahead = now - Date.now();
    this.kept.keepDraftsOf(new Set(items.filter(isOpen).map(({ id }) => id)));
    this.list.drawAll(items);
    this.list.goTo(place);
    this.isDrawn = true;
  }

  /** Somebody who scrolls comes by many places; where they stay is kept. */
  private scrolled(): void {
    clearTimeout(this.resting);
    if (!this.isDrawn) return;
    this.resting = setTimeout(() => (this.kept.place = this.list.place), REST_MS);
  }

  private get now(): number {
    return Date.now() + this.ahead;
  }

  private deeds(): Deeds {
    const { tell } = this;
    return {
      now: () => this.now,
      answer: ({ id }, response) => tell({ kind: "answer", id, response }),
      dismiss: ({ id }) => tell({ kind: "dismiss", id }),
      mute: ({ id }) => tell({ kind: "mute", id }),
      opened: ({ id }) => tell({ kind: "opened", id }),
      accept: ({ id }) => tell({ kind: "accept", id }),
      reject: ({ id }) => tell({ kind: "reject", id }),
      compare: ({ id }) => tell({ kind: "compare", id }),
      insert: (code, language) => tell({ kind: "insert", code, language }),
      copied: (succeeded) => {
        this.said.textContent = succeeded ? "Copied" : "Selected, copy it with the keyboard";
      },
      drafts: this.kept.drafts,
    };
  }

  /** What stands there for somebody who has heard nothing yet. */
  private introduction(): readonly HTMLElement[] {
    return [
      make("h2", {}, "It speaks up when it can help"),
      make("p", {}, "Questions and suggestions about what you are working on will stand here. Each says why it came."),
      make("p", {}, "You can also ask something yourself."),
      button("Choose how much you hear", () => this.openSettings()),
    ];
  }

  private openSettings(): void {
    this.settings.toggle(true);
    this.settings.gear.focus();
  }
}

/** Whether an answer to it may still be written. */
function isOpen(item: Item): boolean {
  return item.kind === "message" && item.fate === undefined;
}
