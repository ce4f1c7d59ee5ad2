"""One target under atheris, in the environment that `fuzz.run` makes: ``python -m fuzz.one NAME CORPUS [-option=…]``.

The options are libFuzzer's. An input that is too slow is written beside the findings and told; it does not end the run,
for instrumented code takes several times as long: `fuzz.run` tries it again without.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from pathlib import Path

import atheris
import structlog

with atheris.instrument_imports(include=["engine"]):
    from fuzz.target import TooSlow, attempt_within
    from fuzz.targets import target

    TARGET = target(sys.argv[1])

FINDINGS = Path(next(option for option in sys.argv if option.startswith("-artifact_prefix=")).partition("=")[2])


def try_one(data: bytes) -> None:
    try:
        attempt_within(TARGET, data)
    except TooSlow:
        (FINDINGS / f"slow-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)


if __name__ == "__main__":
    # What clients did wrong is of no interest here, and written out it would take longer than all the rest.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    atheris.Setup([sys.argv[0], *sys.argv[2:]], try_one)
    atheris.Fuzz()
