"""JSON documents to their records: the same ones wherever a block ends, and never more of them held than the bound."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.replay.bad_records import BadLine
from engine.replay.elements import elements

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab"\\{}[],: é\n', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


def cut(text: bytes, step: int) -> list[bytes]:
    return [text[start : start + step] for start in range(0, len(text), step)]


def found(text: bytes, within=("",), alone=True, step=7) -> list:
    records = []
    try:
        records.extend(elements(iter(cut(text, step)), within, alone))
    except BadLine as trouble:
        records.append(trouble)
    return [record.reason if isinstance(record, BadLine) else json.loads(record) for record in records]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "within", "records"),
    [
        (b"", [""], []),
        (b" \n ", [""], []),
        (b"[]", [""], []),
        (b'[{"a": 1}, {"b": [2]}]', [""], [{"a": 1}, {"b": [2]}]),
        (b'\xef\xbb\xbf[{"a": 1}]', [""], [{"a": 1}]),
        (b'[1, "x", null, [], {}]', [""], [1, "x", None, [], {}]),
        (b'{"a": 1}\n{"b": 2}', [""], [{"a": 1}, {"b": 2}]),
        (b'[{"a": 1}]\n[{"b": 2}]', [""], [{"a": 1}, {"b": 2}]),
        (b'{"batch": [{"a": 1}, {"b": 2}], "sent": 1}', ["", "batch"], [{"a": 1}, {"b": 2}]),
        (b'{"sent": {"batch": [1]}, "batch": [{"a": 1}]}', ["", "batch"], [{"a": 1}]),
        (b'{"a": "batch", "b": {"c": "]}"}}', ["", "batch"], [{"a": "batch", "b": {"c": "]}"}}]),
        (b'{"a": {"x": 1, "b": [{"c": 1}]}, "b": [2]}', ["a.b"], [{"c": 1}]),
        (b'{"b\\u0061tch": [{"a": "\\\\\\""}]}', ["batch"], [{"a": '\\"'}]),
        (b'[{"a": 1}, {"b": ', [""], [{"a": 1}, "truncated JSON"]),
        (b'[{"a": 1}', [""], [{"a": 1}, "truncated JSON"]),
        (b'[{"a": "no end', [""], ["truncated JSON"]),
        (b'{"batch": [{"a": 1}]', ["batch"], [{"a": 1}, "truncated JSON"]),
    ],
)
def test_the_records_of_a_document(text, within, records, step):
    assert found(text, within, step=step) == records


def test_a_document_without_the_list_that_is_asked_for_is_one_bad_record():
    assert found(b'{"b": []} [1]', ["a"], alone=False) == ["no records", "no records"]


@given(records=st.lists(JSON, max_size=4), step=st.integers(1, 30), indent=st.sampled_from([None, 1]))
def test_what_stands_in_a_list_comes_out_of_it_wherever_blocks_end(records, step, indent):
    assert found(json.dumps(records, indent=indent).encode(), step=step) == records
    outer = json.dumps({"x": records, "batch": records}, ensure_ascii=False, indent=indent).encode()
    assert found(outer, ["batch"], step=step) == records


@pytest.mark.parametrize("filling", [b"x", b"\\\\", b'\\"'])
def test_a_record_may_be_as_long_as_the_limit_and_no_longer(filling):
    def of_length(length: int) -> bytes:
        text = filling * ((length - 2) // len(filling))
        return b'"' + text + b"x" * (length - 2 - len(text)) + b'"'

    longest = 1 << 16
    at_limit, one_more, far_more = map(of_length, (longest, longest + 1, 3 * longest + 1))
    text = b"[" + b",".join([at_limit, one_more, far_more, b'{"s": %s}' % far_more, b"1"]) + b"]"
    records = list(elements(iter(cut(text, 1 << 12)), longest=longest))
    assert [r.reason if isinstance(r, BadLine) else len(r) for r in records] == [
        longest, "record too long", "record too long", "record too long", 1,
    ]  # fmt: skip
