"""The extension as VS Code and other extensions see it: claims that run inside the extension host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from backend_process import BackendProcess, StartBackend
from playwright.sync_api import BrowserContext
from vscode_window import WITHIN_MS, StartVsCode, VsCode, set_folder

PROBE = Path(__file__).parent / "probe"
WITHIN = 2 * WITHIN_MS


@pytest.fixture(scope="module")
def vscode(start_vscode: StartVsCode) -> VsCode:
    # Without the flag a page cannot be told which tests to run.
    started: VsCode = start_vscode({"proactive.activity.enabled": True}, flags=["--enable-smoke-test-driver"])
    return started


@pytest.fixture(scope="module")
def backend(start_backend: StartBackend) -> BackendProcess:
    started: BackendProcess = start_backend("version: 1\nrules: []\n")
    return started


def run(vscode: VsCode, context: BrowserContext, folder: Path, claims: str) -> tuple[int, str]:
    """Like a test runner of extensions: the exit code, and what the claims said."""
    page = context.new_page()
    codes: list[int] = []
    said: list[str] = []
    page.expose_function("codeAutomationLog", lambda kind, args=None: said.append(str(args)))
    page.expose_function("codeAutomationExit", lambda code, *_: codes.append(code))
    remote = f"vscode-remote://127.0.0.1:{vscode.port}"
    payload = f'[["extensionDevelopmentPath","{remote}{PROBE}"],["extensionTestsPath","{remote}{PROBE / claims}"]]'
    page.goto(f"http://127.0.0.1:{vscode.port}/?folder={folder}&payload={payload}")
    for _ in range(WITHIN // 100):
        if codes:
            break
        page.wait_for_timeout(100)
    page.close()
    vscode.end_extension_hosts()
    assert codes, f"the tests never came to an end: {said[-20:]}"
    return codes[0], "\n".join(said)


def test_the_claims_hold_and_what_is_done_is_told(
    vscode: VsCode, context: BrowserContext, backend: BackendProcess, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("one\n", "utf-8")
    set_folder(tmp_path, backend)
    code, said = run(vscode, context, tmp_path, "claims.cjs")
    assert code == 0, said
    assert "7 passing" in said, said
    happened: list[tuple[str, dict[str, Any]]] = backend.happened("ann")
    told = dict(happened)
    assert told["test.failed"] == {
        "test": "told by another",
        "file": "src/a_test.x",
        "source": "extension",
        "durationMs": 12,
    }
    assert told["file.opened"]["file"] == told["file.saved"]["file"] == "a.txt"
    assert told["file.edited"]["added"] == len("secret words\n")
    assert told["debug.started"]["debugger"] == told["debug.stopped"]["debugger"] == "probe"
    assert told["diagnostic.appeared"]["severity"] == "error"
    assert told["diagnostic.appeared"]["source"] == "probe"
    # No text of anybody's, unless it is asked for.
    assert "secret words" not in str(happened)
    assert "that is wrong" not in str(happened)


def test_a_claim_that_does_not_hold_fails_the_run(vscode: VsCode, context: BrowserContext, tmp_path: Path) -> None:
    code, said = run(vscode, context, tmp_path, "wrong.cjs")
    assert code == 1
    assert "1 passing" in said
    assert "1 failing" in said
    assert "one is two" in said
