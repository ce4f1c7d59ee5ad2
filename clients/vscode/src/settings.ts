/** What the user has set. It reads and checks; it changes nothing. */

import * as vscode from "vscode";
import { addressIn } from "./addresses.js";

export type Toasts = "questions" | "suggestions" | "none";

export interface ConnectionSettings {
  readonly webSocketUrl?: string;
  readonly httpUrl?: string;
  /** "" where a name is to be made up. */
  readonly user: string;
  /** What is wrong with the addresses, for the user to read; then there are none. */
  readonly trouble?: string;
}

/** Changes of these connect anew. */
export const CONNECTION_SETTINGS = ["proactive.webSocketUrl", "proactive.httpUrl", "proactive.user"] as const;

export function connectionSettings(): ConnectionSettings {
  const given = vscode.workspace.getConfiguration("proactive");
  const user = given.get<unknown>("user");
  const named = { user: typeof user === "string" ? user.trim() : "" };
  try {
    const webSocketUrl = addressIn("proactive.webSocketUrl", given.get<unknown>("webSocketUrl"), ["ws:", "wss:"]);
    const httpUrl = addressIn("proactive.httpUrl", given.get<unknown>("httpUrl"), ["http:", "https:"]);
    if (webSocketUrl === undefined && httpUrl === undefined) {
      return { ...named, trouble: "proactive.webSocketUrl and proactive.httpUrl are both empty" };
    }
    return {
      ...named,
      ...(webSocketUrl === undefined ? {} : { webSocketUrl }),
      ...(httpUrl === undefined ? {} : { httpUrl }),
    };
  } catch (cause) {
    return { ...named, trouble: (cause as Error).message };
  }
}

export function toastSetting(): Toasts {
  const given = vscode.workspace.getConfiguration("proactive").get<unknown>("toasts");
  return given === "suggestions" || given === "none" ? given : "questions";
}
