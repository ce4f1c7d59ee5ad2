from __future__ import annotations

import stat
from pathlib import Path

import pytest

from engine.cli.outbox import WAITING_MAX, Entry
from engine.cli.outbox_file import NoOutboxFile, OutboxFile, state_folder

URL = "ws://127.0.0.1:7778"


def file_of(folder: Path, client: str = "ann", url: str = URL) -> OutboxFile:
    return OutboxFile(folder / "state" / "proactive", url, client)


def entry(name: str) -> Entry:
    return Entry(name, {"type": "chat_message", "message": "Hällo", "id": name}, "ann")


def test_the_next_start_has_what_the_former_left_and_knows_that_it_waited(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    assert file.open() == []
    file.keep([entry("a"), entry("b")])
    file.close()
    again = file_of(tmp_path)
    assert again.open() == [
        Entry("a", entry("a").frame, "ann", has_waited=True),
        Entry("b", entry("b").frame, "ann", has_waited=True),
    ]
    again.keep([])
    assert not again.path.exists()
    again.close()


def test_its_owner_alone_can_read_it(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    file.open()
    file.keep([entry("a")])
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    file.close()


def test_every_device_of_every_server_has_its_own(tmp_path: Path) -> None:
    paths = {file_of(tmp_path, client, url).path for client in ("ann", "bob/../..") for url in (URL, URL + "0")}
    assert len(paths) == 4
    assert {path.parent for path in paths} == {tmp_path / "state" / "proactive"}


def test_of_two_terminals_of_one_device_the_second_has_none_until_the_first_has_left(tmp_path: Path) -> None:
    first = file_of(tmp_path)
    first.open()
    with pytest.raises(NoOutboxFile, match="another terminal is ann"):
        file_of(tmp_path).open()
    first.close()
    second = file_of(tmp_path)
    second.open()
    second.close()


@pytest.mark.parametrize(
    "text", ["", "{", '{"waiting": 5}', '{"url": "", "client": "", "waiting": [{"id": 5}]}', "\x00"]
)
def test_what_makes_no_sense_is_told_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = file_of(tmp_path).path
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(NoOutboxFile, match=r"cannot make sense of .*; whoever removes it begins anew"):
        file_of(tmp_path).open()
    assert path.read_text() == text


def test_no_more_is_read_than_may_wait(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    file.open()
    file.keep([entry(str(number)) for number in range(WAITING_MAX + 1)])
    file.close()
    again = file_of(tmp_path)
    assert len(again.open()) == WAITING_MAX
    again.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(NoOutboxFile, match=r"cannot write to .*: "):
        file_of(tmp_path).open()


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    file.open()
    file.path.with_suffix(".new").mkdir()
    with pytest.raises(NoOutboxFile, match=r"cannot write to .*: is a directory"):
        file.keep([entry("a")])
    file.close()


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"XDG_STATE_HOME": "/state", "HOME": "/home/ann"}, "/state/proactive"),
        ({"XDG_STATE_HOME": "state", "HOME": "/home/ann"}, "/home/ann/.local/state/proactive"),
        ({"XDG_STATE_HOME": "", "HOME": "/home/ann"}, "/home/ann/.local/state/proactive"),
    ],
)
def test_it_lies_where_programs_keep_their_state(environment: dict[str, str], folder: str) -> None:
    assert state_folder(environment) == Path(folder)
