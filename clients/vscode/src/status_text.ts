/** What stands in the status bar, and when a moment is. Pure. */

import type { Level } from "@proactive/client";
import { shownTime } from "@proactive/widget/times.js";

export const LEVELS: readonly (readonly [Level, string])[] = [
  ["off", "Off"],
  ["less", "Less"],
  ["normal", "Normal"],
  ["more", "More"],
];

export interface Status {
  /** Undefined while the server has not said. */
  readonly level: Level | undefined;
  /** Epoch milliseconds. */
  readonly snoozedUntil: number | null;
  readonly unread: number;
  /** The line about the connection. */
  readonly line: string;
}

/** The text, and what is read out for it. `now`: epoch milliseconds by the server's clock. */
export function statusText(status: Status, now: number): { readonly text: string; readonly label: string } {
  const { level, snoozedUntil, unread, line } = status;
  const dial = LEVELS.find(([one]) => one === level)?.[1];
  const isSnoozed = snoozedUntil !== null && snoozedUntil > now;
  const mood = isSnoozed ? `Snoozed until ${shownTime(snoozedUntil, now)}` : dial;
  const name = mood === undefined ? "Proactive" : `Proactive: ${mood}`;
  const news = unread === 0 ? "" : ` (${unread > 99 ? "99+" : unread} new)`;
  return { text: `$(comment-discussion) ${name}${news}`, label: `${name}${news}, ${line}` };
}
