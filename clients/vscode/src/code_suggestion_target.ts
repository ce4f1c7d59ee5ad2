/** Which place in which document a suggestion of code is for. It changes no document. */

import * as vscode from "vscode";
import type { CodeSuggestion } from "@proactive/client";
import { pathBelow, rangeOf, shifted, type Manner, type Position, type Span } from "./code_suggestion_text.js";
import { NAME_MAX, plain } from "./plain_text.js";

/** A place that moves with the text around it. */
export interface Target {
  readonly document: vscode.TextDocument;
  readonly span: Span;
  /** What stood there is not there any more as it was. */
  readonly isTouched: boolean;
}

/** What a message asks for cannot be had. The text is for the user. */
export class NoTarget extends Error {}

/** The text editor that was used last, for as long as it is open: a view in the side bar is none. */
export class LastEditor implements vscode.Disposable {
  private last: vscode.TextEditor | undefined;
  private readonly listening: vscode.Disposable;

  constructor() {
    this.take(vscode.window.activeTextEditor);
    this.listening = vscode.window.onDidChangeActiveTextEditor((editor) => this.take(editor));
  }

  /** Undefined where none is open that could be written to. */
  get(): vscode.TextEditor | undefined {
    this.take(vscode.window.activeTextEditor);
    const { last } = this;
    return last !== undefined && isOpen(last.document) ? last : undefined;
  }

  dispose(): void {
    this.listening.dispose();
  }

  private take(editor: vscode.TextEditor | undefined): void {
    if (editor !== undefined && isWritable(editor.document.uri)) this.last = editor;
  }
}

/** The place that the message names, or else that where the user is. Undefined where no document is open. */
export async function targetOf(suggestion: CodeSuggestion, last: LastEditor): Promise<Target | undefined> {
  const file = suggestion["file"];
  const editor = last.get();
  if (typeof file !== "string" || file === "") return editor && targetIn(editor.document, editor.selection);
  const document = await opened(file);
  const range = rangeOf(suggestion["range"]);
  if (range !== undefined) return targetIn(document, toRange(document, range));
  const shown = [editor, ...vscode.window.visibleTextEditors].find((one) => one?.document === document);
  return targetIn(document, shown?.selection ?? endOf(document));
}

export function targetIn(document: vscode.TextDocument, range: vscode.Range): Target {
  const { start, end } = document.validateRange(range);
  return { document, span: { start: document.offsetAt(start), end: document.offsetAt(end) }, isTouched: false };
}

/** The same place after a change of its document. */
export function moved(target: Target, { contentChanges }: vscode.TextDocumentChangeEvent): Target {
  const changes = contentChanges.map(({ rangeOffset, rangeLength, text }) => ({
    start: rangeOffset,
    end: rangeOffset + rangeLength,
    text,
  }));
  const { span, isTouched } = shifted(target.span, changes);
  return { ...target, span, isTouched: target.isTouched || isTouched };
}

/** How the document is written: as the editor that shows it says, or else as the settings do. */
export function mannerOf(document: vscode.TextDocument): Manner {
  const shown = vscode.window.visibleTextEditors.find((editor) => editor.document === document)?.options;
  const set = vscode.workspace.getConfiguration("editor", document);
  const spaces: unknown = shown?.insertSpaces ?? set.get("insertSpaces");
  const size: unknown = shown?.tabSize ?? set.get("tabSize");
  return {
    insertSpaces: spaces !== false,
    tabSize: typeof size === "number" && size >= 1 ? size : 4,
    eol: document.eol === vscode.EndOfLine.CRLF ? "\r\n" : "\n",
  };
}

/** Where its tab is, undefined where it has none. */
export function columnOf({ uri }: vscode.TextDocument): vscode.ViewColumn | undefined {
  const name = uri.toString();
  const shows = ({ input }: vscode.Tab): boolean =>
    input instanceof vscode.TabInputText && input.uri.toString() === name;
  return vscode.window.tabGroups.all.find((group) => group.tabs.some(shows))?.viewColumn;
}

/** Within the workspace alone: what comes from a server opens no other file. */
async function opened(file: string): Promise<vscode.TextDocument> {
  for (const { uri } of vscode.workspace.workspaceFolders ?? []) {
    const path = pathBelow(uri.path, file);
    if (path === undefined) continue;
    try {
      return await vscode.workspace.openTextDocument(vscode.Uri.joinPath(uri, path));
    } catch {
      // It may be in another folder of the workspace.
    }
  }
  throw new NoTarget(
    `This suggestion is for "${plain(file, NAME_MAX)}", and there is no such text file in this workspace.`,
  );
}

function toRange(document: vscode.TextDocument, { start, end }: { start: Position; end: Position }): vscode.Range {
  // A position behind the last one of its line is put right by `validateRange`.
  const last = end.character ?? Number.MAX_SAFE_INTEGER;
  return document.validateRange(new vscode.Range(start.line, start.character ?? 0, end.line, last));
}

function endOf(document: vscode.TextDocument): vscode.Range {
  const end = document.lineAt(document.lineCount - 1).range.end;
  return new vscode.Range(end, end);
}

function isWritable({ scheme }: vscode.Uri): boolean {
  return (
    scheme === "untitled" ||
    scheme === "vscode-notebook-cell" ||
    vscode.workspace.fs.isWritableFileSystem(scheme) === true
  );
}

function isOpen(document: vscode.TextDocument): boolean {
  const isVisible = vscode.window.visibleTextEditors.some((editor) => editor.document === document);
  return !document.isClosed && (isVisible || columnOf(document) !== undefined);
}
