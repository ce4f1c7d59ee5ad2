/** Which messages show themselves in a corner, and with what buttons. Pure. */

import { isQuestion } from "@proactive/client";
import type { Shown } from "@proactive/widget/conversation.js";
import { loudnessOf, textOf } from "@proactive/widget/words.js";
import { plain } from "./plain_text.js";
import type { Toasts } from "./settings.js";

/** At once. The editor shows as many; the rest is counted as everything is. */
export const CORNER_MAX = 3;
/** After so long at the latest the editor takes a toast out of the corner, in milliseconds: nobody is told of that. */
export const CORNER_MS = 30_000;
/** More do not fit in a row. */
const BUTTONS_MAX = 3;
const BUTTON_CHARACTERS_MAX = 40;

export interface Toast {
  readonly text: string;
  /** Answers to press; none where they are too many or too long, or where it asks for words. */
  readonly options: readonly string[];
}

/** The toast for a message, undefined where it shall have none. */
export function toastFor(item: Shown, setting: Toasts): Toast | undefined {
  if (item.fate !== undefined || item.isSeen || setting === "none") return undefined;
  const loudness = loudnessOf(item);
  if (loudness === "notification" || (loudness === "suggestion" && setting !== "suggestions")) return undefined;
  const text = plain(textOf(item));
  const given: unknown = isQuestion(item.frame) ? item.frame.options : undefined;
  const options = Array.isArray(given) ? given.map(String) : [];
  const fits = options.length <= BUTTONS_MAX && options.every((one) => one.length <= BUTTON_CHARACTERS_MAX);
  return { text: text === "" ? "Some code is proposed" : text, options: fits ? options : [] };
}

/** The room there is for toasts. What nobody closes is taken away by the editor, and must not keep others out for ever. */
export class Corner {
  private readonly since = new Map<string, number>();

  /** Whether there is room for it; then it has that. `now`: milliseconds of one clock. */
  take(id: string, now: number): boolean {
    for (const [known, since] of this.since) if (now - since >= CORNER_MS) this.since.delete(known);
    if (this.since.size >= CORNER_MAX) return false;
    this.since.set(id, now);
    return true;
  }

  leave(id: string): void {
    this.since.delete(id);
  }
}
