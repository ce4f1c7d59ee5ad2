/** The conversation as a list that one scrolls. It knows no connection, and decides nothing. */

import type { Item } from "./conversation.js";
import { make, type Child } from "./dom.js";
import { drawItem, type Deeds } from "./item_view.js";

/** How near to its end the list counts as read to the end, in pixels. */
const NEAR_END = 60;

/** Where somebody reads: so many pixels below the top of an item; undefined is the end. */
export interface Place {
  readonly id: string;
  readonly below: number;
}

export class ListView {
  readonly root: HTMLElement;
  private readonly drawn = new Map<string, HTMLElement>();
  private readonly empty: HTMLElement;
  private staysAtEnd = true;

  /** `empty`: what stands there while there is nothing else. */
  constructor(
    private readonly deeds: Deeds,
    ...empty: readonly Child[]
  ) {
    const attributes = {
      tabindex: 0,
      role: "log",
      "aria-live": "polite",
      "aria-relevant": "additions",
      "aria-label": "Messages",
    };
    this.empty = make("div", { class: "empty" }, ...empty);
    this.root = make("div", { class: "list", attributes }, this.empty);
    this.root.addEventListener("scroll", () => (this.staysAtEnd = this.isAtEnd));
    // Who reads the latest goes on doing so when the room gets less.
    new ResizeObserver(() => this.staysAtEnd && this.toEnd()).observe(this.root);
    const opened = (event: Event): void => {
      if (event.target instanceof HTMLDetailsElement && event.target.open)
        event.target.scrollIntoView({ block: "nearest" });
    };
    // It does not bubble.
    this.root.addEventListener("toggle", opened, { capture: true });
  }

  /** Draw it, at the end or in the place that it has. Who reads further up stays there. */
  draw(item: Item): void {
    const isAtEnd = this.isAtEnd;
    const made = drawItem(item, this.deeds);
    const old = this.drawn.get(item.id);
    const hadFocus = old?.contains(this.focused) ?? false;
    this.drawn.set(item.id, made);
    if (old === undefined) this.root.append(made);
    else old.replaceWith(made);
    if (hadFocus) made.focus();
    this.empty.remove();
    if (isAtEnd || (old === undefined && item.kind === "said")) this.toEnd();
  }

  erase(id: string): void {
    const old = this.drawn.get(id);
    if (old === undefined) return;
    const hadFocus = old.contains(this.focused);
    const next = old.nextElementSibling ?? old.previousElementSibling;
    old.remove();
    this.drawn.delete(id);
    if (this.drawn.size === 0) this.root.append(this.empty);
    if (hadFocus) (next instanceof HTMLElement ? next : this.root).focus();
  }

  /** Put these in the place of all that is there. Nobody is told of them as of something new. */
  drawAll(items: readonly Item[]): void {
    this.root.setAttribute("aria-live", "off");
    for (const id of [...this.drawn.keys()]) this.erase(id);
    for (const item of items) this.draw(item);
    this.toEnd();
    requestAnimationFrame(() => this.root.setAttribute("aria-live", "polite"));
  }

  /** Bring it into view and give it the focus; false where it is not there. */
  focus(id: string): boolean {
    const found = this.drawn.get(id);
    found?.scrollIntoView({ block: "nearest" });
    found?.focus({ preventScroll: true });
    return found !== undefined;
  }

  toEnd(): void {
    // What stands there while there is nothing else is read from its beginning.
    this.root.scrollTop = this.drawn.size === 0 ? 0 : this.root.scrollHeight;
  }

  get place(): Place | undefined {
    if (this.isAtEnd) return undefined;
    const top = this.root.getBoundingClientRect().top;
    for (const [id, element] of this.drawn) {
      const box = element.getBoundingClientRect();
      if (box.bottom > top) return { id, below: top - box.top };
    }
    return undefined;
  }

  /** Go there; to the end where it is gone. */
  goTo(place: Place | undefined): void {
    const found = place === undefined ? undefined : this.drawn.get(place.id);
    if (place === undefined || found === undefined) this.toEnd();
    else this.root.scrollTop += found.getBoundingClientRect().top - this.root.getBoundingClientRect().top + place.below;
  }

  private get isAtEnd(): boolean {
    return this.root.scrollHeight - this.root.scrollTop - this.root.clientHeight < NEAR_END;
  }

  private get focused(): Element | null {
    return (this.root.getRootNode() as ShadowRoot | Document).activeElement ?? null;
  }
}
