"""Control characters made visible: a remembered text may hold any, and a terminal would obey them."""

from __future__ import annotations

_ESCAPE = "\N{SYMBOL FOR ESCAPE}"
_LINE_ENDS = dict.fromkeys(map(ord, "\n\r\v\f\x85\u2028\u2029"), "\n")
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\N{SYMBOL FOR DELETE}"}
# ECMA-48: a C1 control is ESC and the character 0x40 below it
_C1 = {code: _ESCAPE + chr(code - 0x40) for code in range(0x80, 0xA0)}
_DIRECTIONS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\N{REPLACEMENT CHARACTER}")
_VISIBLE = _PICTURES | _C1 | _DIRECTIONS | _LINE_ENDS | {ord("\t"): " ", 0xFEFF: ""}


def visible(text: str) -> str:
    r"""The text with its control characters as pictures ("␛[31m"); line ends are "\\n", a tab is a space.

    Overrides of the writing direction, which make a line read as what it is not, become "\\ufffd"."""
    return text.replace("\r\n", "\n").translate(_VISIBLE)
