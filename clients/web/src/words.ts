/** What the widget says of the connection and of messages, in words for people. Pure. */

import { isCodeSuggestion, type ConnectionState, type Delivery, type OfflineReason } from "@proactive/client";
import type { Shown } from "./conversation.js";
import { shownTime } from "./times.js";

const OFFLINE: Readonly<Record<OfflineReason, string>> = {
  not_started: "Not connected yet",
  disconnected: "Offline: disconnected",
  no_network: "Offline: no network",
  replaced: "Offline: this place is in use elsewhere",
  unauthorized: "Offline: sign in again",
  erased: "Offline: your data has been erased",
  forbidden: "Offline: this page may not connect",
  refused: "Offline: the server refused",
};

/** The line about the connection. `waiting`: how many events have not got through yet. */
export function stateLine(state: ConnectionState, waiting: number): string {
  const line = lineOf(state);
  if (state.state === "connected" || state.state === "fallback" || waiting === 0) return line;
  return `${line} · ${waiting} waiting to be sent`;
}

function lineOf(state: ConnectionState): string {
  switch (state.state) {
    case "connected":
      return "Connected";
    case "fallback":
      return "Connected over HTTP";
    case "reconnecting":
      return state.reason === "starting" ? "Connecting…" : "Reconnecting…";
    case "offline":
      return OFFLINE[state.reason];
  }
}

/** Whether it takes a click to come back. */
export function needsConnect(state: ConnectionState): boolean {
  return state.state === "offline" && state.reason !== "no_network" && state.reason !== "not_started";
}

/** What is said beside something that did not get through, undefined where it did or still will. */
export function troubleOf(delivery: Delivery): string | undefined {
  if (delivery.status === "refused") return `Not taken: ${delivery.error.message}`;
  return delivery.status === "dropped" ? "Not sent: too much was waiting, or somebody else has signed in" : undefined;
}

/** The text of a message, "" where it has none that could be shown. */
export function textOf(item: Shown): string {
  const { frame } = item;
  const texts = isCodeSuggestion(frame) ? [frame.message, frame.explanation] : [frame["message"]];
  return texts.filter((text): text is string => typeof text === "string" && text !== "").join("\n");
}

/** `question`, `suggestion` or `notification`; a message of another type is a suggestion. */
export function loudnessOf({ frame }: Shown): "question" | "suggestion" | "notification" {
  const kind = frame["messageType"];
  return kind === "question" || kind === "notification" ? kind : "suggestion";
}

/** Why a message is there, as far as its frame says. */
export function whyLines(frame: Readonly<Record<string, unknown>>, now: number): readonly string[] {
  const lines: string[] = [];
  const { rule, why, timestamp, expiresAt } = frame as Readonly<
    Record<"rule" | "why" | "timestamp" | "expiresAt", unknown>
  >;
  const when = typeof timestamp === "number" ? ` at ${shownTime(timestamp * 1000, now)}` : "";
  if (typeof rule === "string") lines.push(`The rule “${rule}” found that this may help you, and said it${when}.`);
  else lines.push(`This comes from the application itself, not from a rule. It was sent${when}.`);
  if (typeof why === "string" && why !== "") lines.push(why);
  if (typeof expiresAt === "number") lines.push(`It is of use until ${shownTime(expiresAt * 1000, now)}.`);
  return lines;
}
