"""Inputs by chance, within a bound of memory, in a process of its own: ``python -m fuzz.bounded NAME… [--inputs N]``.

It learns nothing from what an input does, as `fuzz.one` would, and needs no library: tests run it. Prints how many
inputs it has tried of each target. An input that takes too long is told with where it is, and ends the process.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from random import Random

import structlog

from fuzz.target import Target
from fuzz.targets import TARGETS, target

MEMORY_BYTES_MAX = 2 * 1024**3  # of addresses, libraries and their threads included: an input has about half of it
HANG_S = 60  # generous, for the machine may have other work
CHANGES_MAX = 8  # of one input
_PIECES = (0, 0, 1, 2, 4, 16)  # bytes that go where something is put in


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("targets", nargs="*", default=list(TARGETS))
    parser.add_argument("--inputs", type=int, default=1000, help="of each target")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    _limit_memory()
    # What clients did wrong is of no interest here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for name in options.targets:
        print(name, attempt_many(target(name), options.inputs, Random(f"{options.seed} {name}")), flush=True)


def attempt_many(chosen: Target, count: int, random: Random) -> int:
    seeds = list(chosen.seeds())
    for _ in range(count):
        data = changed(random, seeds, chosen.words)[: chosen.size_max]
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        try:
            chosen.attempt(data)
        except BaseException:
            print(f"input: {data!r}", file=sys.stderr)
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()
    return count


def changed(random: Random, seeds: Sequence[bytes], words: Sequence[str]) -> bytes:
    """A seed with some of it put elsewhere, doubled, left out, or with a word or any byte in it."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, CHANGES_MAX)):
        place = random.randint(0, len(data))
        end = place + random.choice(_PIECES)
        how = random.random()
        if how < 0.5 and words:
            data[place:end] = random.choice(words).encode("utf-8", "surrogatepass")
        elif how < 0.7:
            data[place:end] = random.randbytes(random.randint(1, 3))
        elif how < 0.85:
            data[place:end] = data[place : place + random.randint(1, 64)] * random.choice((2, 3, 50))
        else:
            other = random.choice(seeds)
            start = random.randint(0, len(other))
            data[place:end] = other[start : start + random.randint(1, 200)]
    return bytes(data)


def _limit_memory() -> None:
    # Where the system has no such bound (Windows) there is none.
    with suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))


if __name__ == "__main__":
    main()
