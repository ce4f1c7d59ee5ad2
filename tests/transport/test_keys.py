"""The keys of backends: made, kept as hashes, found, and read again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.refusal import Refused
from engine.transport.keys import KEYS_MAX, BackendKey, Keyring, digest_of, new_key, read_keys, write_keys

KEPT = {"name": "ci", "sha256": "a" * 64, "scopes": ["messages"], "created": "2026-01-01T00:00:00Z", "note": ""}


def test_a_key_is_random_and_its_file_cannot_be_turned_back_into_it(tmp_path: Path) -> None:
    key, kept = new_key("ci", ["users", "messages"], "now", "for the nightly job")
    other, _ = new_key("ci", ["messages"], "now")
    assert key != other
    assert key.startswith("pk_")
    assert len(key) == 46
    assert kept == BackendKey("ci", digest_of(key), ("messages", "users"), "now", "for the nightly job")
    path = tmp_path / "keys.json"
    write_keys(path, [kept])
    assert key not in path.read_text()
    assert key not in repr(kept)
    assert read_keys(path.read_bytes()) == (kept,)
    assert Keyring(path).scopes_of(key) == ("messages", "users")
    assert Keyring(path).scopes_of(other) is None


def test_the_file_is_its_owners_alone_and_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_keys(path, [])
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    write_keys(path, [])
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["keys.json"]


def test_where_there_is_no_file_it_is_said_how_one_is_made(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no such file or directory") as refused:
        Keyring(tmp_path / "keys.json")
    assert refused.value.hint == "make it, with a first key: proactive key add NAME --scopes events,messages"
    with pytest.raises(Refused, match="is a directory") as refused:
        Keyring(tmp_path)
    assert refused.value.hint == "", "a key would not mend that"


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    write_keys(path, [])
    path.chmod(mode)
    with pytest.raises(Refused, match="others may write it"):
        Keyring(path)


def test_two_who_write_at_once_do_not_undo_each_other(tmp_path: Path) -> None:
    (tmp_path / ".keys.json.new").touch()
    with pytest.raises(FileExistsError):
        write_keys(tmp_path / "keys.json", [])
    assert os.listdir(tmp_path) == [".keys.json.new"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "expected JSON"),
        ("[]", 'expected {"keys"'),
        ('{"keys": 1}', 'expected {"keys"'),
        (json.dumps({"keys": [KEPT] * (KEYS_MAX + 1)}), "at most 1000 keys"),
        (json.dumps({"keys": [KEPT, KEPT]}), "a name of its own"),
        ('{"keys": [1]}', r"keys\[0\]: expected name, sha256"),
        *[
            (json.dumps({"keys": [{**KEPT, name: value}]}), reason)
            for name, value, reason in [
                ("name", "", "expected a name of letters"),
                ("name", "a" * 65, "expected a name of letters"),
                ("name", "../x", "expected a name of letters"),
                ("sha256", "A" * 64, "64 hexadecimal digits"),
                ("sha256", "a" * 63, "64 hexadecimal digits"),
                ("scopes", [], "expected scopes of events, messages, users, rules, metrics"),
                ("scopes", ["all"], "expected scopes of"),
                ("scopes", [["messages"]], "expected scopes of"),
                ("created", 1, "expected created and note"),
                ("key", "pk_x", "expected name, sha256"),
            ]
        ],
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(content: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        read_keys(content.encode())


@given(st.text(max_size=300))
def test_whatever_is_brought_is_no_key(tmp_path_factory: Any, text: str) -> None:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    write_keys(path, [new_key("ci", ["messages"], "now")[1]])
    assert Keyring(path).scopes_of(text) is None
