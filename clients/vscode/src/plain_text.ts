/** A text that is not the extension's own, for one of the editor's notifications. Pure. */

import { teaserOf } from "@proactive/widget/text.js";

/** What a notification shows without growing over what is beside it, in characters. */
const LINE_MAX = 240;
/** Of a file, within a line that says more. */
export const NAME_MAX = 80;

/**
 * In one line of at most `most` characters, and without links: a notification makes one of `[text](command:…)`, which
 * runs the command where it is clicked. Whatever goes into a notification goes through this, for files have such names too.
 */
export function plain(text: string, most = LINE_MAX): string {
  return teaserOf(text, most).replaceAll("](", "]\u200b(");
}
