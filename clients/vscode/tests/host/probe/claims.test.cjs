// What holds of the extension as VS Code and other extensions see it. What it tells the server is asserted outside.

const assert = require("node:assert/strict");
const vscode = require("vscode");
const { until } = require("./suite.cjs");

const extension = vscode.extensions.getExtension("proactive.proactive");
const told = extension.packageJSON.contributes;
const diagnostics = vscode.languages.createDiagnosticCollection("probe");

async function open(name) {
  const [folder] = vscode.workspace.workspaceFolders;
  const document = await vscode.workspace.openTextDocument(vscode.Uri.joinPath(folder.uri, name));
  await vscode.window.showTextDocument(document);
  return document;
}

test("it begins by itself", () => until(() => extension.isActive));

test("every command of package.json is there", async () => {
  const known = new Set(await vscode.commands.getCommands(true));
  assert.deepEqual(
    told.commands.map(({ command }) => command).filter((command) => !known.has(command)),
    [],
  );
  assert.ok(told.commands.length >= 10);
});

test("every setting of package.json is known by its default, and nothing is reported where nobody said so", async () => {
  const sections = [told.configuration].flat();
  for (const [name, { default: value }] of sections.flatMap(({ properties }) => Object.entries(properties))) {
    assert.deepEqual(vscode.workspace.getConfiguration().inspect(name)?.defaultValue, value, name);
  }
  assert.equal(vscode.workspace.getConfiguration("proactive").inspect("activity.enabled").defaultValue, false);
});

test("another extension can tell of a test, and hears where it is none", async () => {
  const api = await extension.activate();
  assert.equal(typeof api.testResult, "function");
  api.testResult({ test: "told by another", outcome: "failed", durationMs: 12, file: "src/a_test.x" });
  assert.throws(() => api.testResult({ test: "", outcome: "failed" }), /expected the name of the test/);
  assert.throws(() => api.testResult({ test: "t", outcome: "maybe" }), /expected passed, failed or skipped/);
});

test("a file is opened, edited and saved", async () => {
  const document = await open("a.txt");
  const edit = new vscode.WorkspaceEdit();
  edit.insert(document.uri, new vscode.Position(0, 0), "secret words\n");
  assert.ok(await vscode.workspace.applyEdit(edit));
  // On a busy machine the editor may refuse, or have saved it by itself; that it is told is asserted outside.
  await until(async () => (await document.save()) || !document.isDirty);
});

test("a debug session begins and ends", async () => {
  const ended = new Promise((resolve) => vscode.debug.onDidTerminateDebugSession(resolve));
  const started = { type: "probe", request: "launch", name: "probe" };
  assert.ok(await vscode.debug.startDebugging(undefined, started));
  await vscode.debug.stopDebugging();
  await ended;
});

test("an error appears, and goes", async () => {
  const { uri } = await open("a.txt");
  const error = new vscode.Diagnostic(new vscode.Range(0, 0, 0, 3), "that is wrong", 0);
  error.source = "probe";
  diagnostics.set(uri, [error]);
  // It is told when it has stood there for a while; what is told is asserted outside, so here it only has to stand.
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  diagnostics.delete(uri);
  await vscode.commands.executeCommand("proactive.showLog");
});
