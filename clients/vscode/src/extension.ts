/** Wires the parts of the extension together. It does nothing itself. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import * as vscode from "vscode";
import { startReporting, type TestReport } from "./activity/index.js";
import { Permission } from "./activity/permission.js";
import { vscodeEditor } from "./activity/vscode_editor.js";
import { Chat } from "./chat.js";
import { CodeSuggestions } from "./code_suggestion.js";
import { registerCommands } from "./commands.js";
import { Connection } from "./connection.js";
import { FirstWindow } from "./first_window.js";
import { ChannelLog } from "./log.js";
import { PanelProvider, VIEW } from "./panel_provider.js";
import { CONNECTION_SETTINGS, connectionSettings } from "./settings.js";
import { StatusBar } from "./status_bar.js";
import { Tokens } from "./tokens.js";
import { isUnwanted } from "./unwanted.js";

let connection: Connection | undefined;

/** What `vscode.extensions.getExtension("proactive.proactive").activate()` gives to other extensions. */
export interface Api {
  /**
   * Tell of a test that has ended, where its runner's output is not read. It is told to the server as `test.passed` or
   * `test.failed` if the user lets tests be told; a skipped one is not. Throws where `report` is none.
   */
  testResult(report: TestReport): void;
}

export function activate(context: vscode.ExtensionContext): Api {
  const log = new ChannelLog();
  const tokens = new Tokens(context.secrets, log);
  const panel = new PanelProvider(context.extensionUri, log);
  const statusBar = new StatusBar();
  const windows = new FirstWindow(join(context.globalStorageUri.fsPath, "shown"));
  const chat = new Chat(panel, statusBar, () => void opened.start(), windows);
  const editor = vscodeEditor();
  const permission = new Permission(editor);
  const opened = new Connection({
    root: join(context.globalStorageUri.fsPath, "windows"),
    window: windowName(),
    log,
    settings: connectionSettings,
    token: (settings) => tokens.get(settings),
    hints: (tell) => {
      // After a sleep a connection may look well and be dead.
      const listening = vscode.window.onDidChangeWindowState(({ focused }) => focused && tell("visible"));
      return () => listening.dispose();
    },
    isUnwanted: (event) =>
      isUnwanted(event, {
        allows: (reporter) => permission.allows(reporter),
        includesText: editor.setting<boolean>("includeText", false) === true,
        isSecret: (file) => editor.placeNamed(file).kind !== "file",
      }),
    view: chat,
    show: (talk, trouble) => chat.useTalk(talk, trouble),
  });
  connection = opened;
  const suggestions = new CodeSuggestions(chat, log);
  chat.useSuggestions(suggestions);
  const reporting = startReporting(context, (event) => opened.tell(event), log);
  const restart = (): void => void opened.start();
  context.subscriptions.push(
    log,
    statusBar,
    suggestions,
    reporting,
    permission,
    // After the reporters have dropped what they had gathered.
    permission.onChange(() => opened.dropUnwanted()),
    editor.onSettings(() => opened.dropUnwanted()),
    vscode.window.registerWebviewViewProvider(VIEW, panel),
    registerCommands({ chat, connection: opened, log, panel, tokens, now: () => chat.now() }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (CONNECTION_SETTINGS.some((name) => event.affectsConfiguration(name))) restart();
    }),
    tokens.onChange(restart),
    vscode.window.onDidChangeWindowState(() => chat.looked()),
  );
  restart();
  return { testResult: (report) => reporting.testResult(report) };
}

/** What waits is kept, and the session can be resumed. */
export function deactivate(): void {
  connection?.dispose();
  connection = undefined;
}

/** The same for a window after a restart, and no path: it is kept on the disk. */
function windowName(): string {
  const { workspaceFile, workspaceFolders } = vscode.workspace;
  const folder = workspaceFile ?? workspaceFolders?.[0]?.uri;
  return createHash("sha256")
    .update(folder?.toString() ?? "")
    .digest("hex")
    .slice(0, 32);
}
