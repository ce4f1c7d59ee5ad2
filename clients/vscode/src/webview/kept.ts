/**
 * What the view remembers while it is hidden, for the editor takes it down then: what was being written, and where
 * somebody was reading. Never a message: those are the host's.
 */

import type { Place } from "@proactive/widget/list_view.js";
import type { FromPanel } from "../messages.js";
import { fieldsOf } from "../record.js";

/** What VS Code gives to the script of a view, once. */
export interface Host {
  postMessage(message: FromPanel): void;
  getState(): unknown;
  setState(state: unknown): void;
}

/** The drafts of more answers than that are of questions that are long gone. */
const DRAFTS_MAX = 50;

export class Kept {
  /** What stands in the field. */
  private written = "";
  private reading: Place | undefined;
  /** Answers in one's own words, by the question's id. */
  readonly drafts: Map<string, string>;

  constructor(private readonly host: Host) {
    const found = fieldsOf(host.getState());
    if (typeof found["draft"] === "string") this.written = found["draft"];
    const { id, below } = fieldsOf(found["place"]);
    if (typeof id === "string" && typeof below === "number") this.reading = { id, below };
    const drafts = Object.entries(fieldsOf(found["drafts"]));
    this.drafts = new Drafts(
      () => this.keep(),
      drafts.filter((one): one is [string, string] => typeof one[1] === "string"),
    );
  }

  get draft(): string {
    return this.written;
  }

  set draft(text: string) {
    this.written = text;
    this.keep();
  }

  /** Undefined is the end. */
  get place(): Place | undefined {
    return this.reading;
  }

  set place(place: Place | undefined) {
    this.reading = place;
    this.keep();
  }

  /** Forget what was being written for any other question: with the question its answer goes from the disk. */
  keepDraftsOf(questions: ReadonlySet<string>): void {
    for (const id of [...this.drafts.keys()]) if (!questions.has(id)) this.drafts.delete(id);
  }

  private keep(): void {
    const drafts = Object.fromEntries([...this.drafts].slice(-DRAFTS_MAX));
    this.host.setState({ draft: this.written, drafts, ...(this.reading === undefined ? {} : { place: this.reading }) });
  }
}

/** A map that tells when something in it is another. */
class Drafts extends Map<string, string> {
  private readonly changed: () => void;

  constructor(changed: () => void, entries: readonly (readonly [string, string])[]) {
    super();
    for (const [id, text] of entries) super.set(id, text);
    this.changed = changed;
  }

  override set(id: string, text: string): this {
    super.set(id, text);
    this.changed();
    return this;
  }

  override delete(id: string): boolean {
    const was = super.delete(id);
    if (was) this.changed();
    return was;
  }
}
