"""``proactive key`` and ``proactive token`` as they are used: what they write, what they show, and how they refuse."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from typer.testing import CliRunner

from engine.cli.main import app_for
from engine.core.units import SECOND
from engine.settings import Auth, Tokens
from engine.transport.auth import Authenticator

SECRET = "s" * 32
TOKENS = "auth: {tokens: {audience: mine, issuer: us}}\n"


def run(*words: str, env: dict[str, str] | None = None) -> Any:
    return CliRunner().invoke(app_for([words[0]]), list(words), env=env)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add(name: str, *words: str) -> str:
    result = run("key", "add", name, "--file", "keys.json", *words)
    assert result.exit_code == 0, result.stderr
    return str(result.stdout).strip()


def test_a_key_opens_its_scopes_until_it_is_revoked(folder: Path) -> None:
    key = add("ci", "--scopes", "users, messages", "--note", "for the nightly job")
    authenticator = Authenticator(Auth(backend_keys=folder / "keys.json"), lambda: 0)
    authenticator.backend(f"Bearer {key}", "messages")
    result = run("key", "revoke", "ci", "--file", "keys.json")
    assert result.stdout == 'key "ci" opens nothing any more\n'
    with pytest.raises(Exception, match="unauthorized"):
        authenticator.backend(f"Bearer {key}", "messages")


def test_a_key_is_shown_once_and_listed_without_itself(folder: Path) -> None:
    add("b", "--scopes", "rules")
    key = add("a", "--scopes", "messages,users", "--note", "for people")
    result = run("key", "list", "--file", "keys.json")
    assert [line.split("  ", 2)[::2] for line in result.stdout.splitlines()] == [
        ["a", "messages, users  for people"],
        ["b", "rules"],
    ]
    assert result.stderr == "2 keys\n"
    assert key not in result.output + (folder / "keys.json").read_text()


def test_the_settings_name_the_file(folder: Path) -> None:
    (folder / "config.yaml").write_text("auth: {backend_keys: mine.json}\n")
    assert run("key", "add", "ci", "--scopes", "rules").exit_code == 0
    assert json.loads((folder / "mine.json").read_text())["keys"][0]["name"] == "ci"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["add"], 2, "expected the name of the key: proactive key add NAME"),
        (["add", "new"], 2, 'expected --scopes with some of "events", "messages", "users", "rules" and "metrics"'),
        (["add", "new", "--scopes", "rule"], 2, 'got "rule", did you mean "rules"?'),
        (["add", "../new", "--scopes", "rules"], 2, 'letters, digits and ._-, got "../new"'),
        (["add", "new", "--scopes", "rules", "--note", "a\nb"], 2, "expected a note of one line"),
        (["add", "ci", "--scopes", "rules"], 1, 'there is a key "ci" already'),
        (["revoke", "c"], 1, 'there is no key "c" in keys.json'),
        (["revoke", "ci", "--scopes", "rules"], 2, "expected --scopes with add alone"),
        (["list", "ci"], 2, "expected no name"),
        (["list", "--file", "none.json"], 1, "none.json: cannot be read: no such file or directory"),
        (["add", "new", "--scopes", "rules", "--file", "no/keys.json"], 1, "no/keys.json: cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said(words: list[str], code: int, said: str) -> None:
    add("ci", "--scopes", "rules")
    given = words if "--file" in words else [*words, "--file", "keys.json"]
    result = run("key", *given)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr


def test_a_command_that_was_killed_as_it_wrote_is_told_of(folder: Path) -> None:
    add("ci", "--scopes", "rules")
    (folder / ".keys.json.new").touch()
    result = run("key", "revoke", "ci", "--file", "keys.json")
    assert result.exit_code == 1
    assert "another command is writing keys.json; where none is, delete .keys.json.new" in result.stderr


def test_without_settings_and_without_a_file_it_is_told_where_to_name_it() -> None:
    assert "set auth.backend_keys in config.yaml, or name it with --file" in run("key", "list").stderr


def test_a_token_is_what_the_server_of_these_settings_takes(folder: Path) -> None:
    (folder / "config.yaml").write_text(TOKENS)
    result = run("token", "--user", "ann", "--for", "90s", env={"PROACTIVE_AUTH_TOKENS_SECRET": SECRET})
    made = result.stdout.strip()
    tokens = Tokens(secret=SECRET, audience="mine", issuer="us")
    identity = Authenticator(Auth(tokens), lambda: time.time_ns() // 1000).client(made)
    assert identity.user == "ann"
    exp = jwt.decode(made, options={"verify_signature": False})["exp"]
    assert identity.expires_at == exp * SECOND + tokens.leeway


@pytest.mark.parametrize(
    ("config", "words", "code", "said"),
    [
        (TOKENS, [], 2, "expected --user with 1 to 128 printable characters"),
        (TOKENS, ["--user", "u" * 129], 2, "expected --user"),
        (TOKENS, ["--user", "ann", "--for", "1w"], 2, '--for: expected a duration such as "90s"'),
        ("", ["--user", "ann"], 1, "the settings have no auth.tokens"),
        (TOKENS, ["--user", "ann"], 1, "HS256 needs a secret; set PROACTIVE_AUTH_TOKENS_SECRET"),
        ("auth: {tokens: {algorithm: RS256, jwks: a}}", ["--user", "ann"], 1, "signed with RS256 there: only"),
        ("auth: {token: {}}", ["--user", "ann"], 1, 'unknown key "token", did you mean "tokens"?'),
    ],
)  # fmt: skip
def test_why_there_is_no_token_is_said(folder: Path, config: str, words: list[str], code: int, said: str) -> None:
    (folder / "config.yaml").write_text(config)
    result = run("token", *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
