/**
 * The view in the side bar, as the host sees it: its page, the messages to and from it, its badge. It decides nothing.
 *
 * The editor takes the page down when the view is hidden and makes it anew when it is shown; what is said to it in
 * between is lost, and `ready` asks for all of it.
 */

import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import { readFromPanel } from "./from_panel.js";
import type { FromPanel, ToPanel } from "./messages.js";
import type { Log } from "./parts.js";

export const VIEW = "proactive.chat";

export interface PanelListener {
  message(message: FromPanel): void;
  /** It was shown or hidden. */
  looked(): void;
}

export class PanelProvider implements vscode.WebviewViewProvider {
  private view: vscode.WebviewView | undefined;
  private listener: PanelListener | undefined;
  private focused: Extract<ToPanel, { kind: "focus" }> | undefined;
  private unread = 0;
  private hasPage = false;

  constructor(
    private readonly extensionUri: vscode.Uri,
    private readonly log: Log,
  ) {}

  listen(listener: PanelListener): void {
    this.listener = listener;
  }

  get isVisible(): boolean {
    return this.view?.visible ?? false;
  }

  /** Whether its page has said that it is there. */
  get isReady(): boolean {
    return this.hasPage;
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    this.view = view;
    this.hasPage = false;
    const { webview } = view;
    const roots = ["dist", "media"].map((name) => vscode.Uri.joinPath(this.extensionUri, name));
    webview.options = { enableScripts: true, localResourceRoots: roots };
    webview.onDidReceiveMessage((value: unknown) => this.receive(view, value));
    view.onDidChangeVisibility(() => {
      if (!view.visible) this.hasPage = false;
      this.listener?.looked();
    });
    view.onDidDispose(() => {
      if (this.view !== view) return;
      this.view = undefined;
      this.hasPage = false;
      this.listener?.looked();
    });
    this.showBadge(this.unread);
    webview.html = page(webview, this.extensionUri);
  }

  /** Nothing where no page is there: it asks for all when it comes. */
  post(message: ToPanel): void {
    if (this.hasPage) void this.view?.webview.postMessage(message);
  }

  /** Open the view, and give the focus to the message, or to the field where there is none. */
  async reveal(id?: string): Promise<void> {
    this.focused = id === undefined ? { kind: "focus" } : { kind: "focus", id };
    await vscode.commands.executeCommand(`${VIEW}.focus`);
    this.giveFocus();
  }

  /** The editor has no badge for a view that was never open; the status bar counts as well. */
  showBadge(unread: number): void {
    this.unread = unread;
    if (this.view === undefined) return;
    const tooltip = unread === 0 ? "" : `${unread} new ${unread === 1 ? "message" : "messages"}`;
    // A badge of 0 is none. VS Code 1.100 goes on showing the last one where it is told that there is none.
    this.view.badge = { value: unread, tooltip };
  }

  private receive(view: vscode.WebviewView, value: unknown): void {
    if (view !== this.view) return;
    const message = readFromPanel(value);
    if (message === undefined) {
      this.log.warn("the view said something that cannot be read; it is passed over");
      return;
    }
    if (message.kind === "ready") this.hasPage = true;
    this.listener?.message(message);
    if (message.kind === "ready") this.giveFocus();
  }

  private giveFocus(): void {
    if (this.focused === undefined || !this.hasPage) return;
    this.post(this.focused);
    this.focused = undefined;
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
