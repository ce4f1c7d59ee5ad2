"""What gateways are told, as Redis has it, and back. It asks nothing of Redis."""

from __future__ import annotations

import json

import msgspec

from engine.core.refusal import Refused
from engine.storage.base import StoreError
from engine.storage.codec import decode_entry, encode_entry
from engine.storage.fleet import Notice
from engine.storage.redis_entries import message_of, message_record
from engine.storage.redis_keys import to_bytes, to_text

_Packed = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bool]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Packed)


def pack_notice(notice: Notice) -> bytes:
    fields: _Packed = (
        to_bytes(notice.user),
        b"" if notice.message is None else message_record(notice.message),
        to_bytes(notice.cause),
        b"" if notice.entry is None else encode_entry(notice.entry),
        to_bytes(notice.cancelled),
        to_bytes(notice.replaced),
        to_bytes(notice.ended),
        # In ASCII, so that it may hold what is no Unicode.
        b"" if notice.frame is None else json.dumps(notice.frame, separators=(",", ":")).encode("ascii"),
        notice.erased,
    )
    return _encoder.encode(fields)


def notice_of(packed: bytes) -> Notice:
    """Raises `StoreError` where it is none."""
    try:
        user, message, cause, entry, cancelled, replaced, ended, frame, erased = _decoder.decode(packed)
        name = to_text(user)
        return Notice(
            user=name,
            message=message_of(name, message, b"") if message else None,
            cause=to_text(cause),
            entry=decode_entry(entry) if entry else None,
            cancelled=to_text(cancelled),
            replaced=to_text(replaced),
            ended=to_text(ended),
            frame=json.loads(frame) if frame else None,
            erased=erased,
        )
    except (msgspec.MsgspecError, Refused, ValueError, RecursionError) as error:
        raise StoreError(f"a notice for a gateway cannot be read: {error}", "corrupt") from error
