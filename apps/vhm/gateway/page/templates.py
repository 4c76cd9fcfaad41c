"""The templates, and what they show of remembered texts and times."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Request, Response
from markupsafe import Markup, escape

from vhm.contract.rest import NO_OWNER
from vhm.gateway.keys import Principal
from vhm.gateway.services import services_of
from vhm.gateway.sessions import COOKIE
from vhm.memory.ages import perceived_age

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # `no-referrer` would take the Origin from our own forms too
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer of the page. Nothing but its own style and pictures is loaded, and no script runs."""

_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Control characters and those that change a line's direction unseen; tabs and line ends are layout."""

_environment = Environment(
    loader=PackageLoader("vhm.gateway.page"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(
    request: Request[Any, Any, Any],
    template: str,
    *,
    status: int = 200,
    owner: str | None = None,
    **context: object,
) -> Response[str]:
    """The page `template`. `owner`: whose memory it shows, if anybody's."""
    user = request.scope.get("user")
    principal = user if isinstance(user, Principal) else None
    body = _environment.get_template(template).render(
        principal=principal,
        owner=owner,
        base=None if owner is None else path_of(owner),
        may_change=principal is not None and owner is not None and principal.may_write(owner),
        may_see_all=principal is not None and principal.owner is None,
        signs_in=services_of(request).keyring is not None,
        token=services_of(request).sessions.token(request.cookies.get(COOKIE)),
        now=datetime.now().astimezone(),
        origin=str(request.base_url).rstrip("/"),
        **context,
    )
    return Response(body, media_type=MediaType.HTML, status_code=status, headers=HEADERS)


def path_of(owner: str) -> str:
    """The path of the page of an owner's memory."""
    return f"/owners/{owner or NO_OWNER}"


def visible(text: str) -> Markup:
    """The text with what would be unseen shown by its number."""
    parts: list[Markup] = []
    end = 0
    for match in _HIDDEN.finditer(text):
        parts += [escape(text[end : match.start()]), _shown(match[0])]
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])


def _shown(character: str) -> Markup:
    name = unicodedata.name(character, "control character").lower()
    return Markup('<span class="hidden" title="{}">U+{:04X}</span>').format(name, ord(character))


def age(moment: datetime) -> str:
    """The age of a moment in words; of a future one, its date."""
    now = datetime.now().astimezone()
    return perceived_age(moment, now) if moment <= now else "in the future"


def time_of(moment: datetime, form: str = "%Y-%m-%d %H:%M") -> Markup:
    """A moment in the zone of this machine."""
    local = moment.astimezone()
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.astimezone(UTC).isoformat(), local.strftime("%Y-%m-%d %H:%M:%S %Z"), local.strftime(form)
    )


def name_of(owner: str) -> str:
    """An owner in words."""
    return owner or "(no name)"


_environment.filters |= {
    "visible": visible,
    "age": age,
    "time": time_of,
    "path": path_of,
    "name": name_of,
}
