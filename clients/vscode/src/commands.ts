/** The commands for the chat, the dial, the connection and what is kept. Each calls the part that knows how. */

import * as vscode from "vscode";
import { troubleWithToken } from "./addresses.js";
import type { Chat } from "./chat.js";
import type { Connection } from "./connection.js";
import type { ChannelLog } from "./log.js";
import type { PanelProvider } from "./panel_provider.js";
import { pickWish } from "./status_bar.js";
import type { Tokens } from "./tokens.js";

export interface Parts {
  readonly chat: Chat;
  readonly connection: Connection;
  readonly log: ChannelLog;
  readonly panel: PanelProvider;
  readonly tokens: Tokens;
  /** Epoch milliseconds by the server's clock. */
  readonly now: () => number;
}

export function registerCommands(parts: Parts): vscode.Disposable {
  const { chat, connection, log, panel, tokens } = parts;
  const commands: Readonly<Record<string, () => unknown>> = {
    open: () => panel.reveal(),
    reconnect: () => connection.start(),
    setToken: () => setToken(tokens),
    clearToken: () => tokens.clear(),
    level: async () => {
      const wish = await pickWish(chat.status, parts.now());
      if (wish !== undefined) chat.take(wish);
    },
    snooze15: () => chat.take({ kind: "snooze", how: "quarter" }),
    snoozeTomorrow: () => chat.take({ kind: "snooze", how: "tomorrow" }),
    wakeUp: () => chat.take({ kind: "snooze", how: "wake" }),
    showLog: () => log.show(),
    forget: () => forget(connection),
  };
  const made = Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(`proactive.${name}`, run));
  return vscode.Disposable.from(...made);
}

async function setToken(tokens: Tokens): Promise<void> {
  const text = await vscode.window.showInputBox({
    title: "Proactive: Set Token",
    prompt:
      "What the server knows you by. It is kept in the editor's secret storage, for the addresses that are set now.",
    password: true,
    ignoreFocusOut: true,
    validateInput: (value) => troubleWithToken(value),
  });
  if (text !== undefined) await tokens.set(text.trim());
}

async function forget(connection: Connection): Promise<void> {
  const forgetAll = "Forget";
  const pressed = await vscode.window.showWarningMessage(
    "Forget the conversation, and what waits to be sent? What the server knows, it still knows.",
    forgetAll,
  );
  if (pressed === forgetAll) connection.forget();
}
