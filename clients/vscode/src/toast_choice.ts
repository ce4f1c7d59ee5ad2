/** Which messages show themselves in a corner, and with what buttons. Pure. */

import { isQuestion } from "@proactive/client";
import type { Shown } from "@proactive/widget/conversation.js";
import { teaserOf } from "@proactive/widget/text.js";
import { loudnessOf, textOf } from "@proactive/widget/words.js";
import type { Toasts } from "./settings.js";

/** More do not fit in a row. */
const BUTTONS_MAX = 3;
const BUTTON_CHARACTERS_MAX = 40;
const TEXT_MAX = 240;

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
  const text = plain(teaserOf(textOf(item), TEXT_MAX));
  const given: unknown = isQuestion(item.frame) ? item.frame.options : undefined;
  const options = Array.isArray(given) ? given.map(String) : [];
  const fits = options.length <= BUTTONS_MAX && options.every((one) => one.length <= BUTTON_CHARACTERS_MAX);
  return { text: text === "" ? "Some code is proposed" : text, options: fits ? options : [] };
}

/** A toast makes links of `[text](command:…)`, which the text of a message must never be. */
function plain(text: string): string {
  return text.replaceAll("](", "]\u200b(");
}
