/** Asking once, and changing one's mind. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ALLOW, Consent, NOT_NOW, REPORT, SETTINGS, SILENT, WHAT, type Asking } from "../../src/activity/consent.js";

class Somebody implements Asking {
  readonly said: string[] = [];
  answers: (string | undefined)[] = [];
  allowed: boolean | undefined;
  hasBeenAsked = false;
  hasTelemetry = true;
  hasFocus = true;
  hear: () => void = () => undefined;
  look: () => void = () => undefined;

  ask = async (_text: string, ...buttons: readonly string[]) => {
    this.said.push(`asked: ${buttons.join(", ")}`);
    return this.answers.shift();
  };
  pick = async (title: string, items: readonly { readonly label: string; readonly description: string }[]) => {
    this.said.push(`${title}: ${items.map(({ label, description }) => `${label} (${description})`).join(", ")}`);
    return this.answers.shift();
  };
  isTelemetryEnabled = () => this.hasTelemetry;
  onTelemetry = (listener: () => void) => ((this.hear = listener), { dispose: () => (this.hear = () => undefined) });
  isFocused = () => this.hasFocus;
  onFocus = (listener: () => void) => ((this.look = listener), { dispose: () => (this.look = () => undefined) });
  choice = () => this.allowed;
  choose = async (isAllowed: boolean) => void (this.allowed = isAllowed);
  wasAsked = () => this.hasBeenAsked;
  asked = async () => void (this.hasBeenAsked = true);
  explain = async () => void this.said.push("explained");
  openSettings = async () => void this.said.push("settings");
}

for (const [answer, allowed] of [
  [ALLOW, true],
  [NOT_NOW, undefined],
  [undefined, undefined],
] as const) {
  test(`it is asked once on a machine, whatever the answer: ${answer ?? "closed"}`, async () => {
    const somebody = new Somebody();
    somebody.answers = [answer];
    await new Consent(somebody).askOnce();
    assert.equal(somebody.allowed, allowed);
    assert.equal(somebody.hasBeenAsked, true);
    await new Consent(somebody).askOnce();
    assert.deepEqual(somebody.said, [`asked: ${ALLOW}, ${NOT_NOW}, ${WHAT}`]);
  });
}

test("who asks what is sent is shown it, and asked again", async () => {
  const somebody = new Somebody();
  somebody.answers = [WHAT, ALLOW];
  await new Consent(somebody).askOnce();
  assert.deepEqual(somebody.said, [`asked: ${ALLOW}, ${NOT_NOW}, ${WHAT}`, "explained", `asked: ${ALLOW}, ${NOT_NOW}`]);
  assert.equal(somebody.allowed, true);
});

test("who has said it in their settings is not asked", async () => {
  for (const allowed of [true, false]) {
    const somebody = new Somebody();
    somebody.allowed = allowed;
    await new Consent(somebody).askOnce();
    assert.deepEqual(somebody.said, []);
  }
});

test("where nothing could be told it is asked when something can be", async () => {
  const somebody = new Somebody();
  somebody.hasTelemetry = false;
  const consent = new Consent(somebody);
  await consent.askOnce();
  assert.deepEqual(somebody.said, []);
  somebody.hasTelemetry = true;
  somebody.hear();
  assert.equal(somebody.said.length, 1);
});

test("two reasons to ask at once are one question", async () => {
  const somebody = new Somebody();
  const consent = new Consent(somebody);
  await Promise.all([consent.askOnce(), consent.askOnce()]);
  assert.equal(somebody.said.length, 1);
});

test("a toast that nobody touches has been asked: there is none at the next start", async () => {
  const somebody = new Somebody();
  somebody.ask = () => new Promise(() => undefined);
  void new Consent(somebody).askOnce();
  assert.equal(somebody.hasBeenAsked, true);
  somebody.ask = () => assert.fail("it is asked again");
  await new Consent(somebody).askOnce();
  assert.equal(somebody.allowed, undefined);
});

test("of several windows the one with the focus asks, the others when they have it, if it was not done by then", async () => {
  const [here, there] = [new Somebody(), new Somebody()];
  there.hasFocus = false;
  await Promise.all([new Consent(here).askOnce(), new Consent(there).askOnce()]);
  there.look();
  assert.deepEqual([here.said.length, there.said.length], [1, 0]);
  there.hasFocus = true;
  there.hasBeenAsked = here.hasBeenAsked; // one machine
  there.look();
  assert.equal(there.said.length, 0);

  const later = new Somebody();
  later.hasFocus = false;
  await new Consent(later).askOnce();
  later.hasFocus = true;
  later.look();
  later.look();
  assert.equal(later.said.length, 1);
});

test("what is pressed after the window is gone allows nothing, nor is it asked then", async () => {
  const somebody = new Somebody();
  somebody.answers = [ALLOW];
  const consent = new Consent(somebody);
  const asking = consent.askOnce();
  consent.dispose();
  await asking;
  assert.equal(somebody.allowed, undefined);
  somebody.hasBeenAsked = false;
  somebody.look();
  await consent.askOnce();
  assert.equal(somebody.said.length, 1);
});

test("the answer can be changed, and says where it has no effect", async () => {
  const somebody = new Somebody();
  const consent = new Consent(somebody);
  somebody.answers = [REPORT, SILENT, undefined, WHAT, SETTINGS];
  await consent.change();
  assert.deepEqual([somebody.allowed, somebody.hasBeenAsked], [true, true]);
  somebody.hasTelemetry = false;
  await consent.change();
  assert.equal(somebody.allowed, false);
  assert.match(somebody.said[0] ?? "", /^What Proactive reports of your activity: .*Report nothing of it \(as now\)/);
  assert.match(somebody.said[1] ?? "", /telemetry setting is off.*Report my activity \(as now\)/);
  await consent.change();
  assert.equal(somebody.allowed, false);
  somebody.said.length = 0;
  await consent.change();
  await consent.change();
  assert.deepEqual(
    somebody.said.filter((line) => !line.startsWith("What")),
    ["explained", "settings"],
  );
});
