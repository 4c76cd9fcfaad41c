"""Who may come in."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.gateway.keys import SHORTEST_KEY, Keyring, faults

KEYS = st.text(
    string.ascii_letters + string.digits + "=+/_-:", min_size=SHORTEST_KEY, max_size=SHORTEST_KEY + 30
)
OWNERS = st.one_of(st.sampled_from(["*", "-"]), st.from_regex(r"[a-z][a-z0-9._@|~+-]{0,20}", fullmatch=True))
ENTRIES = st.tuples(OWNERS, st.booleans(), KEYS)


def text_of(entries: list[tuple[str, bool, str]]) -> str:
    return ", ".join(f"{owner}{':read' if read else ''}={key}" for owner, read, key in entries)


@given(st.lists(ENTRIES, max_size=6, unique_by=lambda entry: entry[2]), KEYS)
def test_a_key_opens_the_memory_of_its_entry_and_no_other(
    entries: list[tuple[str, bool, str]], stranger: str
) -> None:
    text = text_of(entries)
    assert list(faults(text)) == []
    keyring = Keyring(text)
    for owner, read, key in entries:
        principal = keyring.find(key)
        assert principal is not None
        assert principal.owner == {"*": None, "-": ""}.get(owner, owner)
        own = {"*": "anybody", "-": ""}.get(owner, owner)
        assert principal.may_read(own)
        assert principal.may_write(own) is not read
        assert principal.may_read("somebody else") is (owner == "*")
        assert not principal.may_write("somebody else") or owner == "*"
        assert key not in repr(principal)
    if stranger not in {key for _, _, key in entries}:
        assert keyring.find(stranger) is None


@given(st.text(max_size=SHORTEST_KEY - 1).filter(lambda key: len(key.strip()) > 4 and "," not in key))
def test_a_short_key_is_a_fault_that_does_not_show_it(key: str) -> None:
    (fault,) = faults(f"sam={key}")
    assert fault.startswith("entry 1: ")
    assert key.strip() not in fault


@pytest.mark.parametrize("entry", ["sam", "=" + "k" * 40, "s am=" + "k" * 40, "sam:write=" + "k" * 40, "@=k"])
def test_an_entry_that_is_none_is_a_fault(entry: str) -> None:
    right = "ann=" + "a" * SHORTEST_KEY
    assert list(faults(f"{right},{entry}")) == ["entry 2: expected owner=key, owner:read=key or *=key"]


def test_a_key_of_any_characters_is_asked_for_without_an_error() -> None:
    assert Keyring("sam=" + "k" * SHORTEST_KEY).find("\ud800é") is None
