/** Wires the parts of the extension together. It does nothing itself. */

import * as vscode from "vscode";
import { PanelProvider, VIEW } from "./panel_provider.js";

export function activate(context: vscode.ExtensionContext): void {
  const panel = new PanelProvider(context.extensionUri);
  context.subscriptions.push(
    vscode.window.registerWebviewViewProvider(VIEW, panel),
    vscode.commands.registerCommand("proactive.open", () => vscode.commands.executeCommand(`${VIEW}.focus`)),
  );
}
