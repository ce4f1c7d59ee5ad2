/** What the parts of the extension ask of each other. Types alone. */

import type { CodeSuggestion } from "@proactive/client";

/** The Output channel, as far as other parts write to it: one line each, without a full stop. */
export interface Log {
  info(line: string): void;
  warn(line: string): void;
}

/** What becomes of a suggestion of code, to be told to the conversation by its id. */
export interface SuggestionEnds {
  /** It stands in the document: outcome `engaged`. */
  accepted(id: string): void;
  /** The user does not want it: outcome `dismissed`. */
  rejected(id: string): void;
}

/** What the view's buttons do with code. Nothing here rejects; what could not be done is told to the user there. */
export interface Suggestions {
  /** Open it as a diff. */
  compare(suggestion: CodeSuggestion & { readonly id: string }): Promise<void>;
  /** Put it into the document; `SuggestionEnds.accepted` follows. */
  accept(suggestion: CodeSuggestion & { readonly id: string }): Promise<void>;
  /** Close its diff if there is one; `SuggestionEnds.rejected` follows. */
  reject(suggestion: CodeSuggestion & { readonly id: string }): Promise<void>;
  /** Put code of an answer where the cursor is. */
  insert(code: string, language: string): Promise<void>;
  /** It is of no use any more (answered elsewhere, expired, taken back): its diff goes. */
  withdrawn(id: string): void;
  dispose(): void;
}
