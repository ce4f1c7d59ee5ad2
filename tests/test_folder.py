"""Rule files on the disk: which are read, in which order, and what is said of those that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.folder import FILES_MAX, load_folder, read_folder, shipped_rules
from engine.loading.diagnostic import RuleErrors
from engine.loading.tree import FILE_BYTES_MAX

EMPTY = "version: 1\nrules: []\n"


def write(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return folder


def refused(path: Path) -> list[str]:
    with pytest.raises(RuleErrors) as caught:
        load_folder(path)
    return [str(error).replace(path.as_posix(), "RULES") for error in caught.value.diagnostics]


def test_every_rule_file_below_is_read_sorted_by_path(tmp_path: Path) -> None:
    files = {"b.yaml": "1", "a/z.yml": "2", "a.yaml": "3", "a/b/c.yaml": "4"}
    others = {"notes.md": "x", "c.yaml.orig": "x", ".hidden.yaml": "x", ".git/d.yaml": "x", "schema.json": "{}"}
    write(tmp_path, **files, **others)
    assert list(read_folder(tmp_path).items()) == sorted(files.items())


def test_line_breaks_are_read_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, **{"a.yaml": "a\r\nb\n"})
    assert read_folder(tmp_path) == {"a.yaml": "a\r\nb\n"}


def test_a_single_file_is_accepted_whatever_it_is_called(tmp_path: Path) -> None:
    write(tmp_path, **{"a.yaml": EMPTY, "b.txt": EMPTY, "c.yaml": "x"})
    assert read_folder(tmp_path / "b.txt") == {"b.txt": EMPTY}
    assert load_folder(tmp_path / "a.yaml").rules == ()


def test_a_folder_that_is_linked_to_is_read(tmp_path: Path) -> None:
    write(tmp_path, **{"..data/a.yaml": EMPTY})
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").symlink_to(tmp_path / "..data" / "a.yaml")
    (tmp_path / "linked").symlink_to(tmp_path / "rules")
    assert read_folder(tmp_path / "linked") == {"a.yaml": EMPTY}


def test_a_link_into_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to(tmp_path / "nowhere")
    assert refused(tmp_path) == ["RULES/a.yaml: cannot be read: no such file or directory [unreadable]"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes on this system")
def test_a_pipe_is_an_error_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    assert refused(tmp_path) == ["RULES/a.yaml: cannot be read: not a regular file [unreadable]"]


def test_a_folder_without_rule_files_is_an_error(tmp_path: Path) -> None:
    assert refused(tmp_path) == ["RULES: no rule files in RULES; they end in .yaml or .yml [no-rules]"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert refused(tmp_path / "x") == [
        "RULES: expected a folder of rules or a rule file, and there is nothing; name the folder "
        "(--rules DIR; of check, lint, schedule and test just DIR), or begin with the examples: "
        f'cp -r "{shipped_rules()}" rules [no-rules]'
    ]


def test_errors_name_the_files_as_the_user_would_open_them(tmp_path: Path) -> None:
    write(tmp_path, **{"a/b.yaml": "version: 2\n", "c.yaml": "version: 1\nruls: []\n"})
    assert refused(tmp_path) == [
        "RULES/a/b.yaml:1:10: expected 1, got 2 [bad-value]",
        'RULES/c.yaml:2:1: unknown key "ruls", did you mean "rules"? [unknown-key]',
    ]


def test_what_is_not_utf_8_is_reported_at_its_byte_for_every_file(tmp_path: Path) -> None:
    write(tmp_path, **{"a.yaml": b"version: 1\n# \xc3\xa4\xe4\n", "b.yaml": b"\xff\xfev\x00"})
    assert refused(tmp_path) == [
        "RULES/a.yaml:2:4: expected UTF-8, got the byte 0xE4; save the file as UTF-8 [not-utf-8]",
        "RULES/b.yaml:1:1: expected UTF-8, got the byte 0xFF; save the file as UTF-8 [not-utf-8]",
    ]


@pytest.mark.parametrize("filling", ["#", "ä", "€"])  # of one, two and three bytes: one is cut in two
def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path, filling: str) -> None:
    write(tmp_path, **{"a.yaml": "#" + filling * 2 * FILE_BYTES_MAX})
    assert refused(tmp_path) == ["RULES/a.yaml:1:1: expected a file of at most 1024 KiB; split it [too-large]"]


def test_the_number_of_files_is_bounded(tmp_path: Path) -> None:
    for number in range(FILES_MAX):
        (tmp_path / f"{number}.yaml").write_text("")
    assert len(read_folder(tmp_path)) == FILES_MAX
    (tmp_path / "one-more.yaml").write_text("")
    assert refused(tmp_path) == [f"RULES: expected at most {FILES_MAX} rule files, got {FILES_MAX + 1} [too-large]"]
