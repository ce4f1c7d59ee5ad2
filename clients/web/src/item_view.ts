/** Draws one item of the conversation. What is clicked is told to whoever asked for the drawing. */

import { isCodeSuggestion, isQuestion } from "@proactive/client";
import type { Answer, Fate, Item, Said, Shown } from "./conversation.js";
import { button, make, type Child } from "./dom.js";
import { partsOf } from "./text.js";
import { whyLines } from "./words.js";

export interface Deeds {
  answer(item: Shown, response: string): void;
  dismiss(item: Shown): void;
  mute(item: Shown): void;
  opened(item: Shown): void;
  copied(succeeded: boolean): void;
  now(): number;
}

const KINDS: Readonly<Record<string, string>> = {
  question: "Question",
  suggestion: "Suggestion",
  notification: "Note",
};
const FATES: Readonly<Record<Exclude<Fate, "answered">, string>> = {
  elsewhere: "Answered elsewhere",
  expired: "No longer of use",
  muted: "You will not hear from this rule again",
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

/** The text of a message, "" where it has none that could be shown. */
export function textOf(item: Shown): string {
  const { frame } = item;
  const texts = isCodeSuggestion(frame) ? [frame.message, frame.explanation] : [frame["message"]];
  return texts.filter((text): text is string => typeof text === "string" && text !== "").join("\n");
}

/** `question`, `suggestion` or `notification`; a message of another type is a suggestion. */
export function loudnessOf({ frame }: Shown): "question" | "suggestion" | "notification" {
  const kind = frame["messageType"];
  return kind === "question" || kind === "notification" ? kind : "suggestion";
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
  if (isOpen)
    head.append(
      button("×", () => deeds.dismiss(item), { class: "icon", label: `Put this ${label.toLowerCase()} away` }),
    );
  const made = article(item.id, loudness, label, head, ...drawText(textOf(item), deeds));
  if (isCodeSuggestion(frame) && typeof frame.code === "string") {
    made.append(drawCode(frame.code, typeof frame.language === "string" ? frame.language : "", deeds));
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
  const form = make("form", { class: "reply" }, field, make("button", { class: "option" }, "Answer"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim() !== "") deeds.answer(item, field.value.trim());
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
      : make("p", { attributes: { dir: "auto" } }, part.text),
  );
}

function drawCode(code: string, language: string, deeds: Deeds): HTMLElement {
  const text = make("code", { attributes: { dir: "ltr" } }, code);
  const name = language === "" ? "Code" : language;
  // It may be wider than the panel, and is scrolled by the keyboard then.
  const block = make("pre", { attributes: { tabindex: 0, role: "group", "aria-label": name } }, text);
  const copy = button(
    "Copy",
    () =>
      void copyText(text, code).then((done) => {
        copy.textContent = done ? "Copied" : "Copy";
        deeds.copied(done);
      }),
    { label: "Copy code" },
  );
  return make("div", { class: "code" }, make("div", { class: "bar" }, make("span", {}, name), copy), block);
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
