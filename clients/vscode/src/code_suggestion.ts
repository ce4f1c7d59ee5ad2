/**
 * Shows suggested code as a diff and puts it into the document when it is accepted: as one step that can be undone, and
 * never over something that the user has not seen there.
 */

import * as vscode from "vscode";
import type { CodeSuggestion } from "@proactive/client";
import {
  columnOf,
  LastEditor,
  mannerOf,
  moved,
  NoTarget,
  targetIn,
  targetOf,
  type Target,
} from "./code_suggestion_target.js";
import { applied, changeFor, languageIdOf, type Change } from "./code_suggestion_text.js";
import type { Log, SuggestionEnds, Suggestions } from "./parts.js";
import { NAME_MAX, plain } from "./plain_text.js";

/** Of the documents that show what a suggestion would make of another; `package.json` has it too. */
const SCHEME = "proactive-suggestion";

type Suggestion = CodeSuggestion & { readonly id: string };

/** A suggestion that is shown as a diff. */
interface Offer {
  readonly suggestion: Suggestion;
  /** Undefined: nothing was open, so a new document it would be. */
  readonly target: Target | undefined;
  readonly uri: vscode.Uri;
}

export class CodeSuggestions implements Suggestions, vscode.TextDocumentContentProvider {
  private readonly offers = new Map<string, Offer>();
  private readonly last = new LastEditor();
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  private readonly registered: vscode.Disposable;
  readonly onDidChange = this.changed.event;

  constructor(
    private readonly ends: SuggestionEnds,
    private readonly log: Log,
  ) {
    const { workspace, window, commands } = vscode;
    this.registered = vscode.Disposable.from(
      this.last,
      this.changed,
      workspace.registerTextDocumentContentProvider(SCHEME, this),
      workspace.onDidChangeTextDocument((event) => this.follow(event)),
      window.tabGroups.onDidChangeTabs(({ closed }) => this.forget(closed)),
      commands.registerCommand("proactive.acceptSuggestion", (uri?: unknown) => this.decide(uri, "accept")),
      commands.registerCommand("proactive.rejectSuggestion", (uri?: unknown) => this.decide(uri, "reject")),
    );
  }

  dispose(): void {
    for (const id of [...this.offers.keys()]) this.withdrawn(id);
    this.registered.dispose();
  }

  /** What the document would be, for VS Code. What is offered no more has no text. */
  provideTextDocumentContent({ query }: vscode.Uri): string {
    const offer = this.offers.get(query);
    if (offer === undefined) return "";
    const { suggestion, target } = offer;
    return target === undefined ? codeOf(suggestion) : applied(target.document.getText(), changeIn(suggestion, target));
  }

  compare(suggestion: Suggestion): Promise<void> {
    return this.attempt("shown", async () => {
      const known = this.offers.get(suggestion.id);
      if (known !== undefined && known.target?.document.isClosed !== true) return this.show(known);
      const target = await targetOf(suggestion, this.last);
      const name = target === undefined ? "suggestion" : nameOf(target.document);
      const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${name}`, query: suggestion.id });
      const offer = { suggestion, target, uri };
      this.offers.set(suggestion.id, offer);
      await this.show(offer);
    });
  }

  accept(suggestion: Suggestion): Promise<void> {
    return this.attempt("put in its place", async () => {
      const offer = this.offers.get(suggestion.id);
      const target = offer === undefined ? await targetOf(suggestion, this.last) : offer.target;
      if (target === undefined) await this.openNew(codeOf(suggestion), suggestion.language ?? "");
      else {
        if (target.document.isClosed) {
          this.withdrawn(suggestion.id);
          throw new NoTarget(`${calledOf(target.document)} has been closed. Open it and accept the suggestion again.`);
        }
        if (target.isTouched && offer !== undefined) return this.showAgain({ ...offer, target });
        await this.apply(target, changeIn(suggestion, target));
      }
      this.withdrawn(suggestion.id);
      this.ends.accepted(suggestion.id);
    });
  }

  async reject({ id }: Suggestion): Promise<void> {
    this.withdrawn(id);
    this.ends.rejected(id);
  }

  insert(code: string, language: string): Promise<void> {
    return this.attempt("inserted", async () => {
      const editor = this.last.get();
      if (editor === undefined) return this.openNew(code, language);
      const { document } = editor;
      const target = targetIn(document, editor.selection);
      await this.apply(target, changeFor(code, document.getText(), target.span, mannerOf(document)));
    });
  }

  withdrawn(id: string): void {
    if (!this.offers.delete(id)) return;
    const tabs = vscode.window.tabGroups.all.flatMap((group) => group.tabs).filter((tab) => offeredIn(tab) === id);
    // Another closed it meanwhile: then there is nothing left to do.
    vscode.window.tabGroups.close(tabs).then(undefined, () => {});
  }

  private async show({ target, uri, suggestion }: Offer): Promise<void> {
    this.changed.fire(uri);
    if (target === undefined) {
      const nothing = uri.with({ query: "" });
      await vscode.commands.executeCommand("vscode.diff", nothing, uri, "Suggestion: a new document");
      return;
    }
    // Brought into view. What comes before it is the same in both.
    const begin = target.document.positionAt(changeIn(suggestion, target).start);
    const place = new vscode.Range(begin, begin);
    const title = `${nameOf(target.document)} ↔ Suggestion`;
    await vscode.commands.executeCommand("vscode.diff", target.document.uri, uri, title, { selection: place });
  }

  /** What stood there has been changed since it was shown. */
  private async showAgain(offer: Offer & { readonly target: Target }): Promise<void> {
    const anew = { ...offer, target: { ...offer.target, isTouched: false } };
    this.offers.set(offer.suggestion.id, anew);
    await this.show(anew);
    tell(
      `${calledOf(offer.target.document)} has been changed where the suggestion goes. If it still fits, accept again.`,
    );
  }

  private async apply({ document }: Target, { start, end, text }: Change): Promise<void> {
    const range = new vscode.Range(document.positionAt(start), document.positionAt(end));
    const edit = new vscode.WorkspaceEdit();
    edit.replace(document.uri, range, text);
    if (!(await vscode.workspace.applyEdit(edit))) {
      throw new NoTarget(
        `${calledOf(document)} could not be changed; it may be read-only, or was changed at the same time.`,
      );
    }
    // A cell of a notebook has no editor of its own to go to.
    if (document.uri.scheme === "vscode-notebook-cell") return;
    const behind = document.positionAt(start + text.length);
    const selection = new vscode.Range(behind, behind);
    const viewColumn = columnOf(document) ?? vscode.ViewColumn.Active;
    await vscode.window.showTextDocument(document, { selection, viewColumn, preview: false });
  }

  private async openNew(content: string, name: string): Promise<void> {
    const language = languageIdOf(name, await vscode.languages.getLanguages());
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ content, language }));
  }

  /** Places move with what is typed around them. */
  private follow(event: vscode.TextDocumentChangeEvent): void {
    if (event.contentChanges.length === 0) return;
    for (const [id, offer] of this.offers) {
      if (offer.target?.document !== event.document) continue;
      this.offers.set(id, { ...offer, target: moved(offer.target, event) });
      this.changed.fire(offer.uri);
    }
  }

  /** A diff that was closed is no decision; the next one may be for another place. */
  private forget(closed: readonly vscode.Tab[]): void {
    for (const id of closed.map(offeredIn)) if (id !== undefined) this.offers.delete(id);
  }

  /** By a button of the diff, or by a command while it is before the user. */
  private decide(given: unknown, what: "accept" | "reject"): Promise<void> | undefined {
    const active = vscode.window.tabGroups.activeTabGroup.activeTab;
    const id = given instanceof vscode.Uri && given.scheme === SCHEME ? given.query : active && offeredIn(active);
    const offer = this.offers.get(id ?? "");
    if (offer !== undefined) return this[what](offer.suggestion);
    tell("There is no suggestion here to decide on.");
    return undefined;
  }

  private async attempt(what: string, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.log.warn(`Code could not be ${what}: ${reason}`);
      tell(error instanceof NoTarget ? reason : `The code could not be ${what}. The log of Proactive says why.`);
    }
  }
}

function changeIn(suggestion: Suggestion, { document, span }: Target): Change {
  return changeFor(codeOf(suggestion), document.getText(), span, mannerOf(document));
}

/** The id of what a tab offers, undefined where it offers nothing. */
function offeredIn({ input }: vscode.Tab): string | undefined {
  const isOurs = input instanceof vscode.TabInputTextDiff && input.modified.scheme === SCHEME;
  return isOurs ? input.modified.query : undefined;
}

function codeOf({ code }: Suggestion): string {
  return typeof code === "string" ? code : "";
}

function nameOf({ uri }: vscode.TextDocument): string {
  return uri.path.split("/").at(-1) ?? uri.path;
}

/** Its name within a line. */
function calledOf(document: vscode.TextDocument): string {
  return plain(nameOf(document), NAME_MAX);
}

/** In a corner, and without waiting for anybody to read it. */
function tell(line: string): void {
  void vscode.window.showWarningMessage(plain(line));
}
