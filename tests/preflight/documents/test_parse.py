"""YAML is read as kustomize reads it, and hostile YAML ends in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.documents.parse import YamlError, parse
from preflight.documents.scalars import resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("off", False),
        ("y", True),
        ("N", False),
        ("~", None),
        ("", None),
        ("=", "="),
        ("22:22", "22:22"),
        ("2026-01-01", "2026-01-01"),
        ("010", 8),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", 1000),
        ("-0b11", -3),
        ("1e3", 1000.0),
        ("1e7", 1e7),
        ("0012345", 5349),
        ("0012389", 12389.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2.0**64),
        ("1.2.3", "1.2.3"),
        ("500m", "500m"),
        ("-", "-"),
        ("+", "+"),
        ("<<", "<<"),
        ("True", True),
        ("tRUE", "tRUE"),
    ],
)
def test_a_plain_scalar_means_what_go_yaml_makes_of_it(text: str, value: object) -> None:
    got = resolve(text)
    assert got == value
    assert type(got) is type(value)


def test_lines_keys_and_merge_keys() -> None:
    data = b"a: &x\n  b: 1\nc:\n  <<: *x\n  d: |\n    text\n1: one\ntrue: two\n? e\n: - f\n  - g\n"
    document = parse(data, "f.yaml").documents[0]
    assert document.plain() == {
        "a": {"b": 1},
        "c": {"d": "text\n", "b": 1},
        "1": "one",
        "true": "two",
        "e": ["f", "g"],
    }
    lines = {path: node.line for path, node in document.scalars()}
    assert lines[("c", "b")] == 2
    assert lines[("c", "d")] == 5
    assert lines[("e", 1)] == 11
    inner = document.get("c")
    assert inner is not None
    assert inner.line == 3


@pytest.mark.parametrize("data", [b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", b"a: 1\nb: 2\n"])
def test_a_byte_order_mark_and_crlf_are_accepted(data: bytes) -> None:
    document = parse(data, "f").documents[0]
    assert document.plain() == {"a": 1, "b": 2}
    second = document.get("b")
    assert second is not None
    assert second.line == 2


def test_documents_of_comments_only_are_left_out() -> None:
    assert parse(b"# one\n---\n# two\n---\nnull\n---\n---\na: 1\n# end\n", "f").documents[0].plain() == {
        "a": 1
    }


def test_duplicate_keys_are_told_with_both_lines() -> None:
    stream = parse(b"a: 1\nb:\n  c: 1\n  c: 2\na: 3\n", "f")
    assert [(each.key, each.first.line, each.second.line) for each in stream.duplicates] == [
        ("c", 3, 4),
        ("a", 1, 5),
    ]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (BOMB.encode(), "f:6: aliases expand to more than 200000 values"),
        (b"a: &a [*a]", "f:1: alias *a stands inside its own anchor"),
        (b"a: *b", "f:1: alias *b has no anchor before it"),
        (b"[" * 100_000, "f:1: nested deeper than 200 levels"),
        (b"- " * 100_000, "f:1: nested deeper than 200 levels"),
        (b"a:\n\tb: 1", "f:2: a tab where YAML wants spaces"),
        (b"a: 1\nb: \x00", "f:2: a control character"),
        (b"a: 1\nb: \xff\xfe", "f:2: not UTF-8 (byte 0xff)"),
        (b"\x7fELF\x02\x01\x01\x00", "f:1: a control character"),
        (b"? {a: b}\n: c", "f:1: a mapping or list as a key"),
        (b"a: b: c", "f:1: not YAML: mapping values are not allowed"),
        (b"x" * (33 * 1024 * 1024), "f:1: 34 MB of YAML"),
    ],
)
def test_hostile_yaml_ends_in_one_line(data: bytes, line: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse(data, "f")
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "piece",
    [
        "a: 1\n---\n",
        "---\n",
        "- {a: [1, 2], b: x}\n",
        "# c\n",
        "- 'x'\n",
        "- &a x\n",
        "- |\n  x\n",
        '- "\\u00e9"\n',
    ],
)
def test_a_megabyte_is_read_whole(piece: str) -> None:
    count = 1_000_000 // len(piece)
    # were the work not linear, the test would not end in its time
    documents = parse((piece * count).encode(), "f").documents
    lists = piece.startswith("- ")
    assert len(documents) == (1 if lists else count if "a" in piece else 0)


@given(st.binary(max_size=300))
def test_any_bytes_are_documents_or_one_line(data: bytes) -> None:
    try:
        stream = parse(data, "f")
    except YamlError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        for document in stream.documents:
            document.plain()


@given(st.text(max_size=20))
def test_any_plain_scalar_resolves(text: str) -> None:
    resolve(text)
