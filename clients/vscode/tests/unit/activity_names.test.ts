/** What may be told of places and programs, and what of the test view. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { pattern, placeOf } from "../../src/activity/places.js";
import { mayRunTests, programOf, taskNameOf } from "../../src/activity/program.js";
import { observeTestView, seenIn } from "../../src/activity/test_view.js";

test("paths are told in the workspace alone, and no names that stand for secrets", () => {
  const kind = (path: string) => placeOf(path, false, []).kind;
  for (const path of [
    ".env",
    "app/.env.local",
    "prod.env",
    "app/.npmrc",
    ".netrc",
    "keys/server.pem",
    "id_rsa",
    "id_ed25519.pub",
    "x.KEY",
    "config/secrets.yml",
    "my-credentials.json",
    "passwords.txt",
    ".ssh/config",
    "a/.aws/credentials",
    ".git/COMMIT_EDITMSG",
    "infra/prod.tfvars",
    "a.crt",
    "tls/cert.cer",
    "x.der",
    "apple/AuthKey.p8",
    "secrets/db.yml",
    "deploy/credentials/a.json",
    "private-keys/a.txt",
    "a/ssh_keys/b",
    "old.Passwords/list",
    ".env/x",
    "app/.env.d/local",
    ".vault-token",
    "service-account.json",
    "keys/serviceAccount_prod.json",
  ]) {
    assert.equal(kind(path), "secret", path);
  }
  for (const path of [
    "src/a.py",
    "environment.py",
    "src/key_map.ts",
    "monkey.py",
    ".github/ci.yml",
    ".gitignore",
    "README",
    "src/certificates.py",
    "src/config.env.ts",
    ".venv/a.py",
    "src/env/a.py",
    "service_account.py",
    "private/keyboard.py",
    "src/private_keyword.py",
  ]) {
    assert.equal(kind(path), "file", path);
  }
  assert.deepEqual(placeOf("src/a.py", false, []), { kind: "file", file: "src/a.py" });
  assert.deepEqual(placeOf(undefined, false, []), { kind: "outside" });
  assert.deepEqual(placeOf(undefined, true, []), { kind: "untitled" });
});

test("a user's own patterns: names anywhere, paths from the workspace on", () => {
  const matches = (glob: string, path: string) => placeOf(path, false, [pattern(glob)]).kind === "secret";
  assert.ok(matches("*.csv", "data/people.csv"));
  assert.ok(!matches("*.csv", "data/people.csv.py"));
  assert.ok(matches("private", "a/private/b.py"));
  assert.ok(matches("private/**", "private/a/b.py"));
  assert.ok(!matches("private/**", "a/private/b.py"));
  assert.ok(matches("**/private/*", "a/b/private/c.py"));
  assert.ok(matches("a/?.py", "a/b.py"));
  assert.ok(!matches("a/*.py", "a/b/c.py"));
  assert.ok(matches("a+b(1).txt", "a+b(1).txt"));
});

test("the program's name, and nothing else of the line", () => {
  const cases: readonly [string, string | undefined][] = [
    ["git push --force", "git"],
    ["/usr/bin/python3 -m pytest", "python3"],
    ["TOKEN=secret DEBUG=1 npm test", "npm"],
    ['PASSWORD="a b" npm test', "npm"],
    ["sudo make install", "make"],
    ["time env A=1 cargo test", "cargo"],
    ['"C:\\Program Files\\Git\\git.exe" status', "git"],
    ["C:\\Python\\python.EXE a.py", "python"],
    ["& 'C:\\x\\node.exe' a.js", "node"],
    ["cd app && pytest", "cd"],
    ["ls|wc", undefined],
    ["(exit 3)", undefined],
    ["$RUNNER tests", undefined],
    ["echo `cat key`", "echo"],
    ["sudo -u ann make", undefined],
    ["p@ssw0rd!", undefined],
    ["x".repeat(41), undefined],
    ['"unfinished', undefined],
    ["TOKEN=secret", undefined],
    ["", undefined],
  ];
  for (const [line, name] of cases) assert.equal(programOf(line, 0), name, line);
  assert.equal(programOf("hunter2", 127), undefined, "no such command: it may have been anything");
  assert.equal(programOf("hunter2", 126), undefined);
});

test("a task is told by its label; a name that is its command line, by the program alone", () => {
  const cases: readonly [string, readonly string[] | undefined, string | undefined][] = [
    ["run the unit tests", ["pytest -q tests"], "run the unit tests"],
    ["build", undefined, "build"],
    ["pytest", ["pytest"], "pytest"],
    ["all of pytest", ["pytest"], "all of pytest"],
    ["npm: test", ["npm", "run", "test"], "npm: test"],
    ["curl -H 'Authorization: abc' x.org", ["curl -H 'Authorization: abc' x.org"], "curl"],
    ["shell: curl -u ann:abc x.org", ["curl -u ann:abc x.org"], "curl"],
    ['/usr/bin/curl -H "Authorization: abc"', ["/usr/bin/curl", "-H", "Authorization: abc"], "curl"],
    ["TOKEN=abc make all", ["TOKEN=abc make all"], "make"],
    ["$RUNNER abc", ["$RUNNER abc"], undefined],
    ["a", [""], "a"],
    ["a", [], "a"],
  ];
  for (const [name, command, told] of cases) assert.equal(taskNameOf(name, command), told, name);
});

test("commands that may run tests are read, others are not", () => {
  for (const line of [
    "pytest",
    "python -m pytest -q",
    "python3 -m unittest",
    "npm test",
    "npm t",
    "yarn test:unit",
    "npx jest",
    "npx vitest --run",
    "mocha",
    "cargo test",
    "cargo nextest run",
    "go test ./...",
    "make check",
    "tox -e py311",
    "./manage.py test",
    "node --test",
    "./run_tests.sh",
    "pnpm -r run test",
  ]) {
    assert.ok(mayRunTests(line), line);
  }
  for (const line of [
    "ls",
    "git diff tests",
    "cat test.log",
    "grep -r test .",
    "vim tests/a.py",
    "npm start",
    "cd latest",
    "python a.py",
  ]) {
    assert.ok(!mayRunTests(line), line);
  }
});

const uri = { toString: () => "file:///a.py" } as never;
const leaf = (label: string, state: number, duration?: number) => ({
  label,
  uri,
  children: [],
  taskStates: [{ state, ...(duration === undefined ? {} : { duration }) }],
});

test("of the test view the tests are taken, by the names of their suites", () => {
  const suite = {
    label: "basket",
    children: [leaf("counts", 3, 5), leaf("is empty", 4), leaf("breaks", 6), leaf("prices", 5), leaf("waits", 1)],
    taskStates: [{ state: 4 }],
  };
  assert.deepEqual(
    seenIn([suite], () => ({ kind: "file", file: "a.py" })).map((one) => [one.test, one.outcome, one.durationMs]),
    [
      ["basket > counts", "passed", 5],
      ["basket > is empty", "failed", undefined],
      ["basket > breaks", "failed", undefined],
      ["basket > prices", "skipped", undefined],
    ],
  );
  let deep: ReturnType<typeof leaf> = leaf("x", 3);
  for (let depth = 0; depth < 50; depth++) deep = { ...deep, label: "s", children: [deep] as never };
  assert.deepEqual(
    seenIn([deep], () => undefined),
    [],
  );
});

test("runs of the test view are told once each, when they have ended", () => {
  const heard: number[] = [];
  let fire: () => void = () => undefined;
  const proposal = {
    testResults: [{ completedAt: 1, results: [leaf("old", 3)] }],
    onDidChangeTestResults: (listener: () => void) => ((fire = listener), { dispose: () => undefined }),
  };
  observeTestView(
    proposal,
    () => undefined,
    (seen) => heard.push(seen.length),
  );
  fire();
  assert.deepEqual(heard, [], "it was there before");
  proposal.testResults.unshift({ completedAt: 0, results: [leaf("a", 2)] });
  fire();
  assert.deepEqual(heard, [], "it is under way");
  proposal.testResults[0] = { completedAt: 7, results: [leaf("a", 3), leaf("b", 4)] };
  fire();
  fire();
  assert.deepEqual(heard, [2]);
});

test("an editor that does not grant the proposal is no trouble", () => {
  const refusing = {
    get testResults(): never {
      throw new Error("CANNOT use API proposal: testObserver");
    },
  };
  for (const tests of [refusing, {}]) {
    const observed = observeTestView(
      tests,
      () => undefined,
      () => assert.fail("nothing can be heard"),
    );
    observed.dispose();
  }
});
