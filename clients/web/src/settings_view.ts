/** How much the user wishes to hear: the dial, snoozes, what is muted. It shows what the server says holds. */

import type { Level, Preferences } from "@proactive/client";
import { button, make } from "./dom.js";
import { shownTime } from "./times.js";

export interface Wishes {
  level(level: Level): void;
  snooze(how: "quarter" | "tomorrow" | "wake"): void;
  unmute(name: string): void;
}

const LEVELS: readonly (readonly [Level, string])[] = [
  ["off", "Off"],
  ["less", "Less"],
  ["normal", "Normal"],
  ["more", "More"],
];

export class SettingsView {
  readonly root: HTMLElement;
  /** Shows it and hides it. */
  readonly gear: HTMLButtonElement;
  private readonly dials: readonly HTMLInputElement[];
  private readonly snoozes = make("div", { class: "row" });
  private readonly muted = make("fieldset", {});

  constructor(private readonly wishes: Wishes) {
    this.dials = LEVELS.map(([level]) => {
      const dial = make("input", { attributes: { type: "radio", name: "level", value: level } });
      dial.addEventListener("change", () => dial.checked && wishes.level(level));
      return dial;
    });
    const labels = LEVELS.map(([, text], place) => make("label", {}, this.dials[place] as HTMLInputElement, text));
    this.root = make(
      "div",
      { class: "settings", attributes: { id: "settings", role: "group", "aria-label": "Settings" } },
      make(
        "fieldset",
        {},
        make("legend", {}, "How much do you want to hear?"),
        make("div", { class: "dial" }, ...labels),
      ),
      make("fieldset", {}, make("legend", {}, "Quiet for a while"), this.snoozes),
      this.muted,
    );
    this.gear = button("⚙", () => this.toggle(!this.isShown), { class: "icon gear", label: "Settings" });
    this.gear.setAttribute("aria-controls", "settings");
    this.toggle(false);
  }

  get isShown(): boolean {
    return !this.root.hidden;
  }

  /** Who hides it from within finds the focus where it was shown. */
  toggle(isShown: boolean): void {
    const hadFocus = this.has(this.root);
    this.root.hidden = !isShown;
    this.gear.setAttribute("aria-expanded", String(isShown));
    if (hadFocus && !isShown) this.gear.focus();
  }

  /** Epoch milliseconds. Somebody who is in the middle of it keeps the focus. */
  show(preferences: Pick<Preferences, "level" | "snoozedUntil" | "muted"> | undefined, now: number): void {
    for (const dial of this.dials) dial.checked = dial.value === (preferences?.level ?? "normal");
    const until = (preferences?.snoozedUntil ?? 0) * 1000;
    const isSnoozed = until > now;
    this.redraw(
      this.snoozes,
      isSnoozed
        ? [
            make("span", {}, `Quiet until ${shownTime(until, now)}`),
            button("Wake up", () => this.wishes.snooze("wake")),
          ]
        : [
            button("15 minutes", () => this.wishes.snooze("quarter")),
            button("Until tomorrow", () => this.wishes.snooze("tomorrow")),
          ],
    );
    const muted = preferences?.muted ?? [];
    this.muted.hidden = muted.length === 0;
    const rows = muted.map((name) =>
      make(
        "div",
        { class: "row" },
        make("span", {}, name === "*" ? "everything" : name),
        button("Unmute", () => this.wishes.unmute(name), { label: `Unmute ${name}` }),
      ),
    );
    this.redraw(this.muted, [make("legend", {}, "Muted"), ...rows]);
  }

  /** What is clicked here goes away by that; the focus stays near. */
  private redraw(place: HTMLElement, children: readonly HTMLElement[]): void {
    const hadFocus = this.has(place);
    place.replaceChildren(...children);
    if (hadFocus) (place.querySelector("button") ?? this.dials.find((dial) => dial.checked))?.focus();
  }

  private has(place: HTMLElement): boolean {
    return place.contains((place.getRootNode() as ShadowRoot | Document).activeElement ?? null);
  }
}
