"""``proactive worker`` says in one line why it cannot start. What it does once it has is in `tests/fleet`."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli.main import main


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        main(["worker", *words])
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--store", "sqlite:p.db"], "a worker needs a store on Redis: set store to redis://HOST:PORT/0"),
        (["--store", "memory:"], "a worker needs a store on Redis"),
        (["--store", "elsewhere"], 'expected a store such as "sqlite:proactive.db"'),
        (["--store", "redis://127.0.0.1:1/0"], "redis://127.0.0.1:1/0"),
    ],
)
def test_a_store_that_cannot_be_shared_is_refused_in_one_line(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, err = said(words, capsys)
    assert code == 1
    assert err.startswith("proactive worker: ")
    assert expected in err
    assert len(err.splitlines()) == 1


def test_a_port_that_cannot_be_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code, err = said(["--http-port", "99999"], capsys)
    assert code == 2
    assert "--http-port" in err
