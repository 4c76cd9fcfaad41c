"""Remembered texts on a page."""

from __future__ import annotations

import html
import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from vhm.gateway.page.templates import visible


@given(st.text())
def test_a_text_is_shown_whole_and_only_as_text(text: str) -> None:
    shown = str(visible(text))
    marked = re.compile(r'<span class="hidden" title="[^"<>]*">U\+([0-9A-F]{4})</span>')
    back = "".join(
        chr(int(part, 16)) if number % 2 else html.unescape(part)
        for number, part in enumerate(marked.split(shown))
    )
    # html.unescape reads references that were never in the text; there are none, as & is escaped
    assert back == text
    rest = marked.sub("", shown)
    assert "<" not in rest
    assert ">" not in rest
    assert not any(unicodedata.category(character) == "Cc" and character not in "\n\t" for character in rest)
