"""What is written to packed files: gzip and Zstandard, by the ending of the name. It opens nothing."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@contextmanager
def packed(stream: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """What is written here comes packed to ``stream`` if the name ends in ``.gz`` or ``.zst``, else as it is.

    The same is written for the same: neither has the name or the time in it.
    """
    ending = name.lower().rpartition(".")[2]
    if ending == "gz":
        with gzip.GzipFile("", "wb", 6, stream, mtime=0) as file:
            yield cast(BinaryIO, file)
    elif ending == "zst":
        with zstd.ZstdFile(stream, "wb") as file:
            yield cast(BinaryIO, file)
    else:
        yield stream
