/** The view in the side bar, as the host sees it: its page, and the messages to and from it. It decides nothing. */

import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import type { ToPanel } from "./messages.js";

export const VIEW = "proactive.chat";

export class PanelProvider implements vscode.WebviewViewProvider {
  private view: vscode.WebviewView | undefined;

  constructor(private readonly extensionUri: vscode.Uri) {}

  resolveWebviewView(view: vscode.WebviewView): void {
    this.view = view;
    const { webview } = view;
    const roots = ["dist", "media"].map((name) => vscode.Uri.joinPath(this.extensionUri, name));
    webview.options = { enableScripts: true, localResourceRoots: roots };
    webview.onDidReceiveMessage(() =>
      this.post({ kind: "state", state: "offline", line: "Not connected yet", canReconnect: false }),
    );
    webview.html = page(webview, this.extensionUri);
  }

  post(message: ToPanel): void {
    void this.view?.webview.postMessage(message);
  }
}

/** Nothing is loaded but the two files; a nonce lets that one script run, and none that came in with a text. */
function page(webview: vscode.Webview, root: vscode.Uri): string {
  const nonce = randomBytes(16).toString("base64");
  const address = (...names: string[]): string => webview.asWebviewUri(vscode.Uri.joinPath(root, ...names)).toString();
  const policy = `default-src 'none'; script-src 'nonce-${nonce}'; style-src ${webview.cspSource}`;
  return `<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="${policy}">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="stylesheet" href="${address("media", "panel.css")}">
    <title>Proactive</title>
  </head>
  <body>
    <script nonce="${nonce}" src="${address("dist", "panel.js")}"></script>
  </body>
</html>
`;
}
