from __future__ import annotations

import os

from engine.memory_guard import MIB, MemoryGuard, resident_bytes


class Resident:
    """What a process has in memory, moved by the test."""

    def __init__(self) -> None:
        self.mib = 0.0

    def __call__(self) -> int:
        return int(self.mib * MIB)


def test_over_the_limit_there_is_trouble_until_it_is_clearly_under_it_again() -> None:
    resident, told = Resident(), list[str]()
    guard = MemoryGuard(100, read_resident=resident, on_change=told.append)
    seen = []
    for mib in (99.0, 100.0, 100.5, 100.0, 95.5, 95.0, 99.0, 101.0):
        resident.mib = mib
        guard.look()
        seen.append(bool(guard.trouble))
    assert seen == [False, False, True, True, True, False, False, True]
    assert told == ["100 MiB of memory in use, 100 may be", "", "101 MiB of memory in use, 100 may be"]


def test_without_a_limit_it_only_measures() -> None:
    resident = Resident()
    resident.mib = 1e6
    guard = MemoryGuard(None, read_resident=resident)
    guard.look()
    assert (guard.trouble, guard.resident) == ("", int(1e6) * MIB)


def test_the_memory_of_this_process_is_measured() -> None:
    before = resident_bytes()
    assert 5 * MIB < before < 64 * 1024 * MIB
    ballast = os.urandom(32 * MIB)
    assert resident_bytes() > before + 16 * MIB
    del ballast
