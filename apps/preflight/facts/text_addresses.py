"""Addresses in texts: in shell scripts that wait for somebody, and in the files of proxies."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

HOST = r"(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)"
PORT = r"(?P<port>\d{1,5})"
ANY = r"\b[^;\n|&]*?\s"
"""Other words of the same command."""
TOOLS: tuple[tuple[re.Pattern[str], int | None], ...] = tuple(
    (re.compile(pattern), port)
    for pattern, port in (
        (rf"\bnc(?:\s+-\w+(?:\s+\d+(?=\s))?)*\s+{HOST}\s+{PORT}\b", None),
        (rf"\b(?:nslookup|getent hosts|dig \+short)\s+{HOST}(?=[\s;)|&]|$)", None),
        (rf"/dev/tcp/{HOST}/{PORT}\b", None),
        (rf"\b(?:curl|wget){ANY}[\"']?http://{HOST}(?::{PORT})?(?=[/\s\"';)]|$)", 80),
        (rf"\b(?:curl|wget){ANY}[\"']?https://{HOST}(?::{PORT})?(?=[/\s\"';)]|$)", 443),
        (rf"-wait[= ]tcp://{HOST}:{PORT}\b", None),
        (rf"\bwait-for(?:-it)?(?:\.sh)?\s+{HOST}:{PORT}\b", None),
        (rf"\bpg_isready{ANY}(?:-h\s*|--host[= ]){HOST}(?:{ANY}(?:-p\s*|--port[= ]){PORT})?", 5432),
        (rf"\bmysqladmin{ANY}(?:-h\s*|--host[= ]){HOST}(?:{ANY}(?:-P\s*|--port[= ]){PORT})?", 3306),
        (rf"\bredis-cli{ANY}-h\s*{HOST}(?:{ANY}-p\s*{PORT})?", 6379),
        (rf"\bmongo(?:sh)?{ANY}--host[= ]{HOST}(?:{ANY}--port[= ]{PORT})?", 27017),
        (rf"--bootstrap-server[= ]{HOST}:{PORT}\b", None),
    )
)
"""How scripts name whom they ask, and the port that is meant where none is said."""
CLIENT = re.compile(r"\b(curl|wget)\b")
COMMENT = re.compile(r"(?m)^\s*#.*$")


class TextAddress(msgspec.Struct, frozen=True):
    """A host that a text names, its port as far as it is known, and the words that name it."""

    host: str
    port: int | None
    words: str
    guessed: bool = False
    """Whether the port is the scheme's, in the words of a program that may have it from elsewhere."""


def in_script(script: str) -> Iterator[TextAddress]:
    """The hosts that a shell script asks by a tool that is known; those in variables are left out."""
    text = COMMENT.sub("", script)
    for pattern, default in TOOLS:
        for match in pattern.finditer(text):
            port = match.groupdict().get("port")
            yield TextAddress(
                match["host"],
                int(port) if port else default,
                " ".join(match[0].split()),
                guessed=not port and match[0].startswith("http") and CLIENT.search(text) is None,
            )


def in_nginx(text: str) -> Iterator[TextAddress]:
    """The hosts that nginx looks up as it starts: servers of upstreams, and what is passed to by name without
    a variable."""
    text = re.sub(r"#.*", "", text)
    upstreams = set(re.findall(r"\bupstream\s+(\S+)\s*\{", text))
    for match in re.finditer(rf"(?m)\bserver\s+{HOST}(?::{PORT})?(?P<rest>\s[^;{{}}$]*)?;", text):
        if "resolve" not in (match["rest"] or "") and match["host"] != "unix":
            yield TextAddress(match["host"], int(match["port"] or 80), match[0])
    passes = (
        rf"\b(?:proxy|grpc|fastcgi|uwsgi|scgi)_pass\s+(?:(?P<scheme>\w+)://)?{HOST}(?::{PORT})?(?:/[^;$]*)?;"
    )
    for match in re.finditer(passes, text):
        port = match["port"] or {"http": 80, "https": 443}.get(match["scheme"] or "")
        if match["host"] not in upstreams:
            yield TextAddress(match["host"], int(port) if port else None, match[0])


def in_haproxy(text: str) -> Iterator[TextAddress]:
    """The hosts that HAProxy looks up as it starts; none where it is told to start without."""
    text = re.sub(r"#.*", "", text)
    if "init-addr" not in text and "resolvers" not in text:
        for match in re.finditer(rf"(?m)^\s*server\s+\S+\s+{HOST}(?::{PORT})?\b", text):
            yield TextAddress(match["host"], int(match["port"]) if match["port"] else None, match[0].strip())


SYNTAXES = {"nginx": in_nginx, "haproxy": in_haproxy}
"""By the word of the pack of images: programs that end when a host does not resolve at their start."""
