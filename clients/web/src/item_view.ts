/** Draws one item of the conversation. What is clicked is told to whoever asked for the drawing. */

import { isCodeSuggestion, isQuestion } from "@proactive/client";
import type { Answer, Fate, Item, Said, Shown } from "./conversation.js";
import { button, make, type Child } from "./dom.js";
import { partsOf, spansOf, type Span } from "./text.js";
import { loudnessOf, textOf, whyLines } from "./words.js";

export interface Deeds {
  answer(item: Shown, response: string): void;
  dismiss(item: Shown): void;
  mute(item: Shown): void;
  opened(item: Shown): void;
  copied(succeeded: boolean): void;
  now(): number;
  /** Put code where the user writes. What follows is offered only where it is there: a page has no editor. */
  insert?(code: string, language: string): void;
  /** Put the code of a suggestion in its place; let it be; show what it would change. */
  accept?(item: Shown): void;
  reject?(item: Shown): void;
  compare?(item: Shown): void;
  /** Answers that are being written, by the question's id: they outlive a drawing. */
  readonly drafts?: Map<string, string>;
}

/** How long a button says that it has copied, in milliseconds. */
const COPIED_MS = 3000;
const PATH_MAX = 120;
const KINDS: Readonly<Record<string, string>> = {
  question: "Question",
  suggestion: "Suggestion",
  notification: "Note",
};
const FATES: Readonly<Record<Exclude<Fate, "answered">, string>> = {
  elsewhere: "Answered elsewhere",
  expired: "No longer of use",
  muted: "You will not hear from this rule again",
  accepted: "Taken into your code",
};

export function drawItem(item: Item, deeds: Deeds): HTMLElement {
  switch (item.kind) {
    case "said":
      return drawSaid(item, deeds);
    case "answer":
      return drawAnswer(item, deeds);
    case "message":
      return drawMessage(item, deeds);
  }
}

function article(id: string, kind: string, label: string, ...children: readonly Child[]): HTMLElement {
  const attributes = { tabindex: -1, "aria-label": label, "data-id": id };
  return make("article", { class: kind, attributes }, ...children);
}

function drawSaid(item: Said, deeds: Deeds): HTMLElement {
  const note = item.trouble ?? (item.isWaiting ? "Waiting to be sent" : undefined);
  const made = article(item.id, "said", "You", ...drawText(item.text, deeds));
  if (note !== undefined) made.append(make("p", { class: "note" }, note));
  return made;
}

function drawAnswer(item: Answer, deeds: Deeds): HTMLElement {
  const made = article(item.id, "answer", "Answer", ...drawText(item.text, deeds));
  // A screen reader waits until all of it is there.
  made.setAttribute("aria-busy", String(item.isWriting));
  if (item.isWriting) made.append(make("p", { class: "note" }, "Writing…"));
  return made;
}

function drawMessage(item: Shown, deeds: Deeds): HTMLElement {
  const { frame } = item;
  const loudness = loudnessOf(item);
  const label = KINDS[loudness] ?? "Message";
  const head = make("header", {}, make("span", { class: "kind" }, label));
  const isOpen = item.fate === undefined;
  const code = isCodeSuggestion(frame) && typeof frame.code === "string" ? frame.code : undefined;
  const decisions = isOpen && code !== undefined ? drawDecisions(item, deeds) : [];
  // To reject it is to put it away.
  if (isOpen && decisions.length === 0)
    head.append(
      button("×", () => deeds.dismiss(item), { class: "icon", label: `Put this ${label.toLowerCase()} away` }),
    );
  const made = article(item.id, loudness, label, head, ...drawText(textOf(item), deeds));
  if (item.fate !== undefined) made.dataset["fate"] = item.fate;
  if (code !== undefined) {
    const language = typeof frame["language"] === "string" ? frame["language"] : "";
    // To accept it is to insert it.
    made.append(drawCode(code, language, deeds, decisions.length === 0), ...decisions);
  }
  if (isOpen && isQuestion(frame)) made.append(drawReplies(item, deeds));
  const note = item.trouble ?? noteOf(item);
  if (note !== undefined) made.append(make("p", { class: "note" }, note));
  made.append(drawWhy(item, deeds));
  return made;
}

function noteOf(item: Shown): string | undefined {
  if (item.fate === undefined) return undefined;
  return item.fate === "answered" ? `You answered: ${item.response ?? ""}` : FATES[item.fate];
}

/** Buttons for what may become of a suggestion of code; none where there is nothing to put it into. */
function drawDecisions(item: Shown, deeds: Deeds): readonly HTMLElement[] {
  const offered = [
    ["Accept", "option", deeds.accept],
    ["Reject", "plain", deeds.reject],
    ["Show diff", "plain", deeds.compare],
  ] as const;
  const buttons = offered.flatMap(([text, kind, deed]) =>
    deed === undefined ? [] : [button(text, () => deed.call(deeds, item), { class: kind })],
  );
  if (buttons.length === 0) return [];
  const path = pathOf(item);
  const attributes = { role: "group", "aria-label": path === "" ? "This change" : `This change of ${path}` };
  // Who accepts it without a look at the diff knows what it changes.
  const name = path === "" ? [] : [make("p", { class: "note" }, make("code", { attributes: { dir: "ltr" } }, path))];
  return [make("div", { class: "options", attributes }, ...buttons, ...name)];
}

/** The file that a suggestion names, "" where it names none. The end of a long path says more than its beginning. */
function pathOf({ frame }: Shown): string {
  const file: unknown = frame["file"];
  const letters = typeof file === "string" ? [...file.replace(/\s+/g, " ").trim()] : [];
  return letters.length <= PATH_MAX ? letters.join("") : `…${letters.slice(1 - PATH_MAX).join("")}`;
}

/** Buttons for the options; where there are none, a field for an answer in one's own words. */
function drawReplies(item: Shown, deeds: Deeds): HTMLElement {
  const options = item.frame["options"];
  if (Array.isArray(options) && options.length > 0) {
    const buttons = options.map((option) =>
      button(String(option), () => deeds.answer(item, String(option)), { class: "option" }),
    );
    return make("div", { class: "options", attributes: { role: "group", "aria-label": "Answers" } }, ...buttons);
  }
  const field = make("input", { attributes: { type: "text", "aria-label": "Your answer", maxlength: 4000 } });
  field.value = deeds.drafts?.get(item.id) ?? "";
  field.addEventListener("input", () => deeds.drafts?.set(item.id, field.value));
  const form = make("form", { class: "reply" }, field, make("button", { class: "option" }, "Answer"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim() === "") return;
    deeds.drafts?.delete(item.id);
    deeds.answer(item, field.value.trim());
  });
  return form;
}

function drawWhy(item: Shown, deeds: Deeds): HTMLElement {
  const { rule } = item.frame;
  const lines = whyLines(item.frame, deeds.now()).map((line) => make("p", {}, line));
  const details = make("details", { class: "why" }, make("summary", {}, "Why am I seeing this?"), ...lines);
  if (typeof rule === "string" && item.fate !== "muted") {
    details.append(button("Mute this rule", () => deeds.mute(item)));
  }
  details.addEventListener("toggle", () => details.open && deeds.opened(item), { once: true });
  return details;
}

function drawText(text: string, deeds: Deeds): readonly HTMLElement[] {
  return partsOf(text).map((part) =>
    part.kind === "code"
      ? drawCode(part.text, part.language, deeds)
      : make("p", { attributes: { dir: "auto" } }, ...spansOf(part.text).map(drawSpan)),
  );
}

function drawSpan({ kind, text }: Span): Child {
  if (kind === "text") return text;
  // Within a text from right to left code goes from left to right all the same.
  return kind === "code" ? make("code", { attributes: { dir: "ltr" } }, text) : make("strong", {}, text);
}

function drawCode(code: string, language: string, deeds: Deeds, canInsert = true): HTMLElement {
  const text = make("code", { attributes: { dir: "ltr" } }, code);
  const name = language === "" ? "Code" : language;
  // It may be wider than the panel, and is scrolled by the keyboard then.
  const block = make("pre", { attributes: { tabindex: 0, role: "group", "aria-label": name } }, text);
  const copy = button(
    "Copy",
    () =>
      void copyText(text, code).then((done) => {
        if (done) sayCopied(copy);
        deeds.copied(done);
      }),
    { label: "Copy code" },
  );
  const bar = make("div", { class: "bar" }, make("span", {}, name));
  if (canInsert && deeds.insert !== undefined) {
    bar.append(button("Insert", () => deeds.insert?.(code, language), { label: "Insert code at the cursor" }));
  }
  bar.append(copy);
  return make("div", { class: "code" }, bar, block);
}

let unsay: () => void = () => undefined;

/** What a button says holds for a while, and only of what was copied last: there is one clipboard. */
function sayCopied(copy: HTMLButtonElement): void {
  unsay();
  copy.textContent = "Copied";
  const timer = setTimeout(() => unsay(), COPIED_MS);
  unsay = () => {
    clearTimeout(timer);
    copy.textContent = "Copy";
    unsay = () => undefined;
  };
}

/** Whether it is on the clipboard. Where the page may not put it there it is selected, for the user to copy. */
async function copyText(shown: HTMLElement, text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown);
    return false;
  }
}
