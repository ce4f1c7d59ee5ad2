"""Rule files as they were at a git revision, from real repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from repository import commit_all, git

from engine.loading.diagnostic import RuleErrors
from engine.revision import NoRevision, in_work_tree, read_revision


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A repository with two commits: the rules say "one" in the first and "two" in the second."""
    folder = tmp_path / "bot" / "rules"
    (folder / "deep").mkdir(parents=True)
    for word in ("one", "two"):
        (folder / "a.yaml").write_text(word)
        (folder / "deep" / "sätze mit\nallem.yml").write_text(word * 2)
        (folder / "notes.txt").write_text("no rule")
        (folder / ".hidden.yaml").write_text("no rule")
        commit_all(tmp_path, word)
    return tmp_path


def test_the_files_of_a_folder_are_those_of_the_revision(place: Path) -> None:
    revision = read_revision("HEAD~1", place / "bot" / "rules")
    assert revision.sources == {"a.yaml": "one", "deep/sätze mit\nallem.yml": "oneone"}
    assert revision.name == "HEAD~1:bot/rules"
    assert str(revision) == f"HEAD~1:bot/rules ({git(place, 'rev-parse', 'HEAD~1')[:9]})"
    assert read_revision("main", place / "bot" / "rules").sources["a.yaml"] == "two"


def test_a_single_file_is_read_alone(place: Path) -> None:
    assert read_revision("HEAD", place / "bot" / "rules" / "a.yaml").sources == {"a.yaml": "two"}


def test_what_lies_there_now_does_not_matter(place: Path) -> None:
    subprocess.run(["rm", "-r", place / "bot"], check=True)
    assert read_revision("HEAD", place / "bot" / "rules").sources["a.yaml"] == "two"


def test_the_whole_repository_may_be_the_folder(place: Path) -> None:
    assert "bot/rules/a.yaml" in read_revision("HEAD", place).sources


def test_a_folder_is_found_through_a_link(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("elsewhere") / "link"
    link.symlink_to(place / "bot")
    assert read_revision("HEAD", link / "rules").sources["a.yaml"] == "two"


def test_links_are_no_rule_files(place: Path) -> None:
    (place / "bot" / "rules" / "b.yaml").symlink_to("/etc/passwd")
    commit_all(place)
    assert "b.yaml" not in read_revision("HEAD", place / "bot" / "rules").sources


@pytest.mark.parametrize("reference", ["nobody", "--help", "", "HEAD~99", "-x"])
def test_what_git_does_not_know_is_said_to_be_unknown(place: Path, reference: str) -> None:
    with pytest.raises(NoRevision, match="is neither a folder of rules nor a revision"):
        read_revision(reference, place / "bot" / "rules")


def test_a_place_outside_of_any_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoRevision, match="does not lie in a git repository"):
        read_revision("HEAD", tmp_path)
    assert not in_work_tree(tmp_path)


def test_a_folder_without_rules_is_refused_as_of_that_revision(place: Path) -> None:
    with pytest.raises(RuleErrors) as refused:
        read_revision("HEAD", place / "other")
    assert str(refused.value.diagnostics[0]).startswith("HEAD:other: no rule files there")


def test_a_file_that_is_not_utf_8_is_named_as_of_that_revision(place: Path) -> None:
    (place / "bot" / "rules" / "a.yaml").write_bytes(b"\xff")
    commit_all(place)
    with pytest.raises(RuleErrors) as refused:
        read_revision("HEAD", place / "bot" / "rules")
    assert str(refused.value.diagnostics[0]).startswith("HEAD:bot/rules/a.yaml:1:1: expected UTF-8, got the byte 0xFF")
