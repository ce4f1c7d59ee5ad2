"""How the keys of a store on Redis are called, and which partition lies in which of the 16,384 slots of a cluster.

Pure naming; nothing is asked here. All keys of a partition have one tag and so lie in one slot; the tags are spread
evenly over the slots, so that nodes of equal ranges of slots have equal numbers of partitions.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Callable

SLOTS = 16_384  # redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec
BUCKETS = "0123"  # sub-hashes of a partition: single keys stay small, so that slots can be moved; fewer commands if few

META = "proactive:{store}:meta"  # a hash: what the store is
RULES = "proactive:{store}:rules"  # a hash: the texts of rule sets by hash
LEASE = "proactive:{store}:lease"  # who serves it
CONFIRMED = "proactive:{store}:confirmed"  # written so that replicas can be waited for
DECIDED = (
    "proactive:{store}:decided"  # a hash: of published rule sets the hash by their moment, "" where they do not hold
)
WORKERS = "proactive:{store}:beats:worker"  # a zset: until when each is taken for alive
GATEWAYS = "proactive:{store}:beats:gateway"

_BUCKET_BYTES = [letter.encode() for letter in BUCKETS]


def slot_of(tag: str) -> int:
    """The slot of every key with ``{tag}`` in it: CRC-16 (XMODEM)."""
    return binascii.crc_hqx(tag.encode(), 0) % SLOTS


def confirmed_of(tag: str) -> bytes:
    """As `CONFIRMED`, in the slot of a tag."""
    return f"proactive:{{{tag}}}:confirmed".encode()


def slot_of_key(key: bytes) -> int:
    """Of any key, whether it has a tag or not (`redis.io/docs`, cluster specification, "Hash tags")."""
    start = key.find(b"{")
    end = key.find(b"}", start + 1)
    tag = key[start + 1 : end] if start >= 0 and end > start + 1 else key
    return binascii.crc_hqx(tag, 0) % SLOTS


def spread_tags(partition_count: int) -> list[str]:
    """A tag for each partition, the n-th in the n-th of so many equal ranges of slots."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < partition_count:
        found.setdefault(slot_of(str(number)) * partition_count // SLOTS, str(number))
        number += 1
    return [found[partition] for partition in range(partition_count)]


class Keys:
    """The names of keys by partition. ``tags`` are those that the store was made with."""

    def __init__(self, tags: list[str]) -> None:
        self._prefixes = [f"proactive:{{{tag}}}:".encode() for tag in tags]
        self.stand = [prefix + b"m" for prefix in self._prefixes]  # what the functions are given

    def of(self, partition: int, name: bytes) -> bytes:
        return self._prefixes[partition] + name

    def bucketed(self, partition: int, name: bytes, bucket: bytes) -> bytes:
        return self._prefixes[partition] + name + b":" + bucket

    def hash_of(self, partition: int, kind: bytes) -> Callable[[bytes], bytes]:
        """What has of a name the sub-hash of that kind in which it is."""
        return lambda name: self.bucketed(partition, kind, name[:1])


def queue_of(gateway: str) -> bytes:
    """What the functions are given of a gateway's queue."""
    return b"proactive:{gw:" + to_bytes(gateway) + b"}:n"


def notices_of(gateway: str) -> bytes:
    return b"proactive:{gw:" + to_bytes(gateway) + b"}:q"


def to_name(user: str) -> bytes:
    """A user as Redis has it: the letter of the sub-hash, then the name in UTF-8; b"" for nobody's entries is its own.

    The letter comes from bits of the CRC-32 that `partition_of` takes last.
    """
    raw = user.encode("utf-8", "surrogatepass")
    return _BUCKET_BYTES[zlib.crc32(raw) >> 30] + raw


def from_name(name: bytes) -> str:
    return name[1:].decode("utf-8", "surrogatepass")


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def to_text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")
