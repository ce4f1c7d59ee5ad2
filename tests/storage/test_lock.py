"""One server per database file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.storage.base import StoreUnusable
from engine.storage.lock import FileLock

HOLDER = """
import sys
from pathlib import Path
from engine.storage.lock import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.take()
print("taken", flush=True)
sys.stdin.read()
"""


def test_a_lock_that_is_held_is_refused_and_says_by_whom(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    first, second = FileLock(path), FileLock(path)
    first.take()
    with pytest.raises(StoreUnusable) as refused:
        second.take()
    assert str(refused.value) == (
        f'"{path}" is in use by another server (process {os.getpid()}): stop it, '
        "or name another file as the store (--store, or store in settings and programs)"
    )
    first.release()
    second.take()
    second.release()
    second.release()


def test_another_file_is_another_lock(tmp_path: Path) -> None:
    locks = [FileLock(tmp_path / name) for name in ("a.db", "b.db")]
    for lock in locks:
        lock.take()
    for lock in locks:
        lock.release()


def test_the_system_lets_go_of_it_when_the_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"
        with pytest.raises(StoreUnusable, match=f"process {holder.pid}"):
            FileLock(path).take()
        holder.kill()
        holder.wait(timeout=10)
    lock = FileLock(path)
    lock.take()
    lock.release()


def test_a_lock_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="cannot make"):
        FileLock(tmp_path / "missing" / "a.db").take()
