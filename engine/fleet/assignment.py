"""Which worker is to work on which partition: each worker finds it out for itself, from the names of all.

It holds nothing and asks nobody. Two who for a moment do not know of the same workers may both want a partition, which
costs work and harms nothing: the version in the store keeps them apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b


def shares(workers: Iterable[str], partition_count: int) -> dict[str, list[int]]:
    """By worker, its partitions: of each of them as many as of any other, or one more.

    Each partition goes to the worker that has the highest of the hashes of both names (rendezvous hashing), as long as
    that has not got its number yet. So when a worker comes or goes, few partitions change hands besides its own.
    """
    names = sorted(set(workers))
    if not names:
        return {}
    found: dict[str, list[int]] = {name: [] for name in names}
    least, over = divmod(partition_count, len(names))
    for partition in range(partition_count):
        for name in sorted(names, key=lambda name: (_score(name, partition), name), reverse=True):
            count = len(found[name])
            if count < least or (count == least and over > 0):
                over -= count == least
                found[name].append(partition)
                break
    return found


def _score(worker: str, partition: int) -> bytes:
    return blake2b(f"{worker}/{partition}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
