/** Files that are opened, saved and edited. Edits are gathered by file; their text is told where the user wants that alone. */

import type { Clock } from "./clock.js";
import { together, type Disposable, type Document, type Edit, type Editor } from "./editor.js";
import { TEXT_MAX, type Outlet } from "./outlet.js";
import { placed } from "./places.js";

/** What somebody types is told so often at the most; a rule that waits for a pause of 10 s sees that they are typing. */
export const GATHER_MS = 5000;
/** Files whose edits are gathered at once; one more, and all are told. */
const GATHERED_MAX = 50;
/** Files that are known to be open. */
const OPEN_MAX = 1000;

interface Gathered {
  readonly document: Document;
  edits: number;
  added: number;
  removed: number;
  line: number;
  text: string;
}

export class FilesReporter implements Disposable {
  private readonly open = new Set<string>();
  private readonly gathered = new Map<string, Gathered>();
  private readonly subscriptions: Disposable;
  private cancel: (() => void) | undefined;

  constructor(
    private readonly editor: Editor,
    private readonly clock: Clock,
    private readonly outlet: Outlet,
  ) {
    const shown = editor.shown();
    if (shown !== undefined) this.open.add(shown.key); // it was opened before anybody listened
    this.subscriptions = together(
      editor.onShown((document) => this.shown(document)),
      editor.onClosed(({ key }) => void this.open.delete(key)),
      editor.onSaved((document) => this.saved(document)),
      editor.onEdited((edit) => this.edited(edit)),
      outlet.gathered(() => this.tellEdits()),
      editor.onSettings(() => {
        if (!this.includesText()) this.dropText();
      }),
    );
  }

  dispose(): void {
    this.subscriptions.dispose();
    this.drop();
    this.open.clear();
  }

  /** What has been gathered is not told. */
  drop(): void {
    this.gathered.clear();
    this.cancel?.();
    this.cancel = undefined;
  }

  private includesText(): boolean {
    return this.editor.setting<boolean>("includeText", false) === true;
  }

  /** That something was edited is told all the same. */
  private dropText(): void {
    for (const gathered of this.gathered.values()) gathered.text = "";
  }

  private shown(document: Document): void {
    if (this.open.has(document.key)) return;
    if (this.open.size >= OPEN_MAX) this.open.clear();
    this.open.add(document.key);
    const { place, language } = document;
    const lines = place.kind === "file" ? document.measure().lines : undefined;
    this.outlet.tell("files", "file.opened", { ...placed(place), language, lines });
  }

  private saved(document: Document): void {
    const { place, language } = document;
    const size = place.kind === "file" ? document.measure() : {};
    this.outlet.tell("files", "file.saved", { ...placed(place), language, ...size });
  }

  private edited(edit: Edit): void {
    if (!this.outlet.may("files")) return;
    const { document } = edit;
    const before = this.gathered.get(document.key);
    if (before === undefined && this.gathered.size >= GATHERED_MAX) this.tellEdits();
    const now = before ?? { document, edits: 0, added: 0, removed: 0, line: 0, text: "" };
    now.edits += 1;
    now.added += edit.added;
    now.removed += edit.removed;
    now.line = edit.line;
    if (document.place.kind === "file" && this.includesText()) {
      now.text = (now.text + edit.text).slice(-TEXT_MAX);
    }
    this.gathered.set(document.key, now);
    this.cancel ??= this.clock.after(GATHER_MS, () => this.tellEdits());
  }

  private tellEdits(): void {
    if (!this.includesText()) this.dropText();
    const all = [...this.gathered.values()];
    this.drop();
    for (const { document, edits, added, removed, line, text } of all) {
      const { place, language } = document;
      const where = place.kind === "file" ? { line } : {};
      const shown = text === "" ? {} : { text };
      this.outlet.tell("files", "file.edited", {
        ...placed(place),
        language,
        edits,
        added,
        removed,
        ...where,
        ...shown,
      });
    }
  }
}
