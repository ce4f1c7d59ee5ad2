/** VS Code as the question for consent sees it. It decides nothing. */

import * as vscode from "vscode";
import { plain } from "../plain_text.js";
import { ASKED, type Asking } from "./consent.js";

export function vscodeAsking(context: vscode.ExtensionContext): Asking {
  const settings = () => vscode.workspace.getConfiguration("proactive.activity");
  return {
    ask: (text, ...buttons) => vscode.window.showInformationMessage(plain(text), ...buttons),
    pick: async (title, items) => (await vscode.window.showQuickPick([...items], { title }))?.label,
    isTelemetryEnabled: () => vscode.env.isTelemetryEnabled,
    onTelemetry: (listener) => vscode.env.onDidChangeTelemetryEnabled(listener),
    isFocused: () => vscode.window.state.focused,
    onFocus: (listener) => vscode.window.onDidChangeWindowState(() => listener()),
    choice: () => settings().inspect<boolean>("enabled")?.globalValue,
    choose: (isAllowed) => settings().update("enabled", isAllowed, vscode.ConfigurationTarget.Global),
    // Not among the keys that are synchronized: it is asked on every machine.
    wasAsked: () => context.globalState.get<boolean>(ASKED, false),
    asked: () => context.globalState.update(ASKED, true),
    explain: async () => {
      const readme = vscode.Uri.joinPath(context.extensionUri, "README.md").with({ fragment: "what-it-reports" });
      await vscode.commands.executeCommand("markdown.showPreview", readme);
    },
    openSettings: async () => {
      await vscode.commands.executeCommand("workbench.action.openSettings", "proactive.activity");
    },
  };
}
