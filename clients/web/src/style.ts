/** How it looks. Nothing of the page gets in here, and nothing of this gets out. */

export const STYLE = `
:host {
  all: initial;
  color-scheme: light dark;
  --back: #ffffff; --raised: #f3f4f7; --ink: #1b1f27; --quiet: #545b69; --line: #cfd4dd; --field: #7b8494;
  --accent: #1d4fd8; --on-accent: #ffffff; --tint: #eaf0ff; --bad: #a3241b;
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :host {
    --back: #171a21; --raised: #222732; --ink: #eceff4; --quiet: #aab2c0; --line: #3b4250; --field: #838c9c;
    --accent: #8fb2ff; --on-accent: #0f1523; --tint: #1f2a44; --bad: #ff9d94;
  }
}
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
button, input, textarea { font: inherit; color: inherit; }
button { cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
p { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext; }
.corner {
  position: fixed; z-index: 2147483000; right: max(16px, env(safe-area-inset-right)); bottom: max(16px, env(safe-area-inset-bottom));
  display: flex; flex-direction: column; align-items: flex-end; gap: 10px; color: var(--ink);
}
.launcher {
  position: relative; min-width: 56px; height: 56px; padding: 0 18px; border: 1px solid transparent; border-radius: 28px; background: var(--accent); color: var(--on-accent);
  font-weight: 600; box-shadow: 0 4px 16px rgb(0 0 0 / 25%);
}
.badge {
  position: absolute; top: -6px; right: -4px; min-width: 24px; padding: 0 6px; border-radius: 12px; background: var(--ink);
  color: var(--back); font-size: 13px; line-height: 24px; text-align: center;
}
.peek {
  width: min(320px, calc(100vw - 32px)); padding: 12px; border: 1px solid var(--accent); border-radius: 12px; background: var(--back);
  box-shadow: 0 4px 16px rgb(0 0 0 / 20%); display: flex; flex-direction: column; gap: 8px;
}
.panel {
  width: min(390px, calc(100vw - 32px)); height: min(620px, calc(100vh - 32px)); height: min(620px, calc(100dvh - 32px));
  display: flex; flex-direction: column; border: 1px solid var(--line); border-radius: 14px; background: var(--back); overflow: hidden;
  box-shadow: 0 8px 32px rgb(0 0 0 / 28%); animation: rise 0.16s ease-out;
}
@keyframes rise { from { opacity: 0; transform: translateY(8px); } }
.top { display: flex; align-items: center; gap: 4px; padding: 8px 8px 8px 14px; border-bottom: 1px solid var(--line); }
.top h2 { flex: 1; margin: 0; font-size: 16px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.icon { min-width: 32px; min-height: 32px; padding: 0 6px; border: 0; border-radius: 8px; background: none; color: var(--quiet); font-size: 18px; line-height: 1; }
.icon:hover, .plain:hover { background: var(--raised); }
.plain { padding: 4px 10px; min-height: 30px; border: 1px solid var(--field); border-radius: 8px; background: none; font-size: 14px; }
.settings { padding: 10px 14px; border-bottom: 1px solid var(--line); background: var(--raised); display: grid; gap: 10px; max-height: 50%; overflow: auto; }
.settings .plain:hover { background: var(--back); }
fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
legend { padding: 0; margin-bottom: 4px; font-size: 13px; color: var(--quiet); }
.dial { display: grid; grid-template-columns: repeat(4, 1fr); gap: 4px; }
.dial label { position: relative; padding: 4px 2px; border: 1px solid var(--field); border-radius: 8px; text-align: center; font-size: 14px; cursor: pointer; }
.dial input { position: absolute; inset: 0; margin: 0; opacity: 0; cursor: pointer; }
.dial label:has(:checked) { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
.dial label:has(:focus-visible) { outline: 3px solid var(--accent); outline-offset: 2px; }
.row { display: flex; flex-wrap: wrap; align-items: center; gap: 6px; }
.row span { overflow-wrap: anywhere; }
.list { flex: 1; min-height: 0; overflow-y: auto; padding: 12px 14px; display: flex; flex-direction: column; gap: 10px; overscroll-behavior: contain; }
.list:focus-visible { outline-offset: -3px; }
.empty { color: var(--quiet); }
article { flex: none; max-width: 100%; padding: 8px 12px; border-radius: 12px; display: flex; flex-direction: column; gap: 6px; }
article header { display: flex; align-items: center; justify-content: space-between; gap: 8px; min-height: 24px; }
article .icon { margin: -4px -8px -4px 0; }
.kind { font-size: 12px; font-weight: 600; color: var(--quiet); }
.question { background: var(--tint); border: 1px solid var(--accent); }
.question > p { font-weight: 600; }
.question .kind { color: var(--accent); }
.question > .note { font-weight: 400; }
.suggestion { border: 1px solid var(--line); }
.notification { border-left: 3px solid var(--line); border-radius: 0; padding-block: 2px; }
.notification p { color: var(--quiet); }
.said { align-self: flex-end; max-width: 86%; background: var(--accent); color: var(--on-accent); }
.said .note { color: inherit; }
.said :focus-visible { outline-color: var(--on-accent); }
.answer { background: var(--raised); }
.note { font-size: 13px; color: var(--quiet); }
.options, .reply { display: flex; flex-wrap: wrap; gap: 6px; }
.option { min-height: 34px; padding: 4px 12px; border: 1px solid var(--accent); border-radius: 17px; background: var(--back); color: var(--accent); overflow-wrap: anywhere; text-align: start; }
.option:hover { background: var(--accent); color: var(--on-accent); }
.reply input { flex: 1; min-width: 0; }
input[type="text"], textarea { padding: 6px 10px; border: 1px solid var(--field); border-radius: 10px; background: var(--back); color: var(--ink); }
.why { font-size: 13px; color: var(--quiet); }
.why summary { cursor: pointer; width: fit-content; border-radius: 4px; }
.why p, .why button { margin-top: 4px; }
.code { border: 1px solid var(--line); border-radius: 8px; overflow: hidden; background: var(--back); color: var(--ink); }
.bar { display: flex; align-items: center; justify-content: space-between; gap: 8px; padding: 3px 3px 3px 10px; font-size: 13px; color: var(--quiet); border-bottom: 1px solid var(--line); }
.bar span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
::placeholder { color: var(--quiet); opacity: 1; }
pre { margin: 0; padding: 8px 10px; overflow: auto; max-height: 300px; font: 13px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre:focus-visible { outline-offset: -3px; }
pre code { font: inherit; white-space: pre; }
p code { font: 0.93em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.compose { display: flex; align-items: flex-end; gap: 8px; padding: 10px 14px 6px; border-top: 1px solid var(--line); }
.compose textarea { flex: 1; min-width: 0; height: 38px; max-height: 120px; resize: none; }
.send { min-height: 38px; padding: 4px 14px; border: 0; border-radius: 10px; background: var(--accent); color: var(--on-accent); font-weight: 600; }
.foot { display: flex; align-items: center; gap: 8px; min-height: 30px; padding: 0 14px 8px; font-size: 13px; color: var(--quiet); }
.dot { flex: none; width: 9px; height: 9px; border-radius: 50%; border: 2px solid var(--quiet); }
.foot[data-state="connected"] .dot, .foot[data-state="fallback"] .dot { background: var(--quiet); }
.foot[data-state="offline"] { color: var(--bad); }
.foot[data-state="offline"] .dot { border-color: var(--bad); }
.unseen { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 479.98px) {
  .corner.open { inset: auto 0 0 0; align-items: stretch; }
  .panel { width: 100%; height: min(88vh, 100%); height: 88dvh; border-width: 1px 0 0; border-radius: 14px 14px 0 0; padding-bottom: env(safe-area-inset-bottom); }
  .corner.open .launcher { display: none; }
  input[type="text"], textarea { font-size: 16px; }
}
@media (prefers-reduced-motion: reduce) { *, *::before, *::after { animation: none !important; transition: none !important; scroll-behavior: auto !important; } }
@media (forced-colors: active) { .dial label:has(:checked) { forced-color-adjust: none; background: Highlight; color: HighlightText; } }
@media print { .corner { display: none; } }
`;
