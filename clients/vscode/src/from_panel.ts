/** Checks what comes from the view. Pure. What a page says is never trusted: it draws texts of strangers. */

import type { Level } from "@proactive/client";
import type { FromPanel } from "./messages.js";

/** As many characters as the view's field takes. */
const SAID_MAX = 8000;
const ID_MAX = 1000;
const CODE_MAX = 1_000_000;
const LEVELS: readonly Level[] = ["off", "less", "normal", "more"];
const SNOOZES = ["quarter", "tomorrow", "wake"] as const;

/** The message with the fields that it has to have and no others, undefined where it is none. */
export function readFromPanel(value: unknown): FromPanel | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const given = value as Readonly<Record<string, unknown>>;
  const { kind } = given;
  switch (kind) {
    case "ready":
    case "reconnect":
      return { kind };
    case "say": {
      const text = textIn(given["text"], SAID_MAX)?.trim();
      return text ? { kind, text } : undefined;
    }
    case "answer": {
      const id = textIn(given["id"], ID_MAX);
      const response = textIn(given["response"], SAID_MAX);
      return id && response ? { kind, id, response } : undefined;
    }
    case "dismiss":
    case "mute":
    case "opened":
    case "accept":
    case "reject":
    case "compare": {
      const id = textIn(given["id"], ID_MAX);
      return id ? { kind, id } : undefined;
    }
    case "insert": {
      const code = textIn(given["code"], CODE_MAX);
      const language = textIn(given["language"], ID_MAX);
      return code !== undefined && language !== undefined ? { kind, code, language } : undefined;
    }
    case "snooze": {
      const how = SNOOZES.find((one) => one === given["how"]);
      return how === undefined ? undefined : { kind, how };
    }
    case "level": {
      const level = LEVELS.find((one) => one === given["level"]);
      return level === undefined ? undefined : { kind, level };
    }
    case "unmute": {
      const name = textIn(given["name"], ID_MAX);
      return name ? { kind, name } : undefined;
    }
    default:
      return undefined;
  }
}

function textIn(value: unknown, most: number): string | undefined {
  return typeof value === "string" && value.length <= most ? value : undefined;
}
