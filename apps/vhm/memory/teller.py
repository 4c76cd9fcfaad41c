"""The built-in teller: the arc of a retelling from the beats alone, without a model.

The same beats always give the same story; which of several turns of phrase it takes hangs on the beats.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

from vhm.contract.messages import Beat
from vhm.memory import ages, narrative, phrases
from vhm.memory.clauses import is_clause, lowered, of_speaker, placed, with_subject
from vhm.memory.forgetting import fade
from vhm.memory.spoken import gist, says_something, sentences, turn

MOST_CHARACTERS = 400
MOST_BEATS = 3
NOTHING = "I couldn't piece together a clear thread."

_NO_SUBJECT = re.compile(r".*(?:ed|ly|ful|ous|ive|able|ible|est|ical)$")
_BREAKS = re.compile(r"[,;:–—]\s|\s-\s|\s(?=(?:and|but|so|because|which|while|when)\s)")


def tell(beats: Sequence[Beat]) -> str:
    """A recap of the beats, recent to old, in whole sentences of at most 400 characters together."""
    strongest = sorted(beats, key=lambda beat: -beat.activation)
    told = narrative.order([beat for beat in strongest if beat.text.strip()][:MOST_BEATS])
    if not told:
        return NOTHING
    seed = zlib.crc32("\n".join(beat.text for beat in told).encode())
    story = _closing(told, seed)
    left = MOST_CHARACTERS - len(story)
    parts: list[str] = []
    for number, beat in enumerate(told):
        room = left // (len(told) - number) - 1
        before = told[number - 1] if number else None
        parts.append(_sentence(beat, before, seed + number, room))
        left -= len(parts[-1]) + 1
    return " ".join([*parts, story]).strip()


def _sentence(beat: Beat, before: Beat | None, seed: int, room: int) -> str:
    """One beat in at most `room` characters."""
    band = narrative.confidence(beat.activation)
    age = phrases.when(beat.perceived_age, seed if band == "low" else None)
    same = before is not None and ages.days(before.perceived_age) == ages.days(beat.perceived_age)
    if same:
        age = phrases.SAME_TIME[seed % len(phrases.SAME_TIME)]
    back = phrases.BACK[seed % len(phrases.BACK)] if before is not None and not same else "{}"
    kind, who, what = _content(beat)
    template = kind[band][seed % len(kind[band])]
    if not template.startswith(("I ", "from ", "of ", "my ")):
        back = "{}"
    frame = back.format(template.replace("{when}", age).replace("{who}", who or "someone"))
    what = _shortened(what, room - len(frame) + len("{what}"))
    text = frame.replace("{what}", what)
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "…", "”")) else text + "."


def _content(beat: Beat) -> tuple[phrases.Phrases, str | None, str]:
    """How to tell a beat: the phrases for its kind, who said it, and what."""
    said = turn(beat.text)
    heard = fade(gist(said.said), beat.activation)
    first, *more = sentences(heard) or [heard]
    if said.picture and (not said.said or not says_something(said.said)):
        return phrases.SHOWED, said.speaker, phrases.pictured(said.picture)
    if said.speaker:
        if first.endswith("?"):
            return phrases.ASKED, said.speaker, f"“{first}”"
        narrated = of_speaker(first.rstrip(".!"), said.speaker)
        if narrated:
            return phrases.HAPPENED, said.speaker, placed(narrated)
        return phrases.SAID, said.speaker, f"“{heard}”"
    first = with_subject(first)
    if is_clause(first) and not first.endswith("?"):
        clause = lowered(placed(first.rstrip(".!")))
        return phrases.HAPPENED, None, ". ".join([clause, *map(placed, more)])
    return phrases.NOTED, None, heard


def _shortened(what: str, room: int) -> str:
    """`what` in at most `room` characters: whole sentences, else up to a pause, else up to a word."""
    quoted = what.startswith("“")
    text = what[1:-1] if quoted else what
    room -= 3 if quoted else 1
    if len(text) > room:
        kept = ""
        for sentence in sentences(text):
            if len(kept) + len(sentence) + 1 > room:
                break
            kept = f"{kept} {sentence}".strip()
        text = kept or _to_a_pause(text, max(room, 1))
    if not quoted:
        return text
    return f"“{text}”" if text.endswith((".", "!", "?", "…")) else f"“{text}.”"


def _to_a_pause(text: str, room: int) -> str:
    pauses = [match.start() for match in _BREAKS.finditer(text) if room // 3 <= match.start() < room]
    if pauses:
        return text[: pauses[-1]].rstrip(" ,;:–—-")
    cut = text[: room - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut else cut).rstrip(" ,;:–—-") + "…"


def _closing(beats: Sequence[Beat], seed: int) -> str:
    recurring = [word for word in narrative.motifs(beats) if not _NO_SUBJECT.match(word)][:2]
    if not recurring:
        return ""
    return phrases.CLOSING[seed % len(phrases.CLOSING)].format(phrases.enumerated(recurring))
