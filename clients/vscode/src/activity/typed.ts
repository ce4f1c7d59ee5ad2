/**
 * Which changes of a document somebody made. A file that is read anew from the disk changes, too, and never becomes dirty; but VS Code says
 * of the first change after a save that the document is not dirty, and only in the next moment that it is.
 */

import type { Edit } from "./editor.js";

/** Documents with a change of which that is not known yet. */
const HELD_MAX = 100;

export class Typed {
  private readonly held = new Map<string, Edit>();

  /** A document has changed, or without `edit` has only become dirty. The edits that somebody made, in order. */
  changed(key: string, edit: Edit | undefined, isDirty: boolean): readonly Edit[] {
    if (isDirty) return [...this.take(key), ...(edit === undefined ? [] : [edit])];
    this.held.delete(key); // what came before it never became dirty
    if (edit === undefined) return [];
    const oldest = this.held.keys().next();
    if (this.held.size >= HELD_MAX && oldest.done !== true) this.held.delete(oldest.value);
    this.held.set(key, edit);
    return [];
  }

  /** A document is saved, so it was dirty. */
  saved(key: string): readonly Edit[] {
    return this.take(key);
  }

  private take(key: string): readonly Edit[] {
    const edit = this.held.get(key);
    this.held.delete(key);
    return edit === undefined ? [] : [edit];
  }
}
