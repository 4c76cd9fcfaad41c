"""The built-in teller: quotes what is remembered, says when and how surely, and adds nothing.

The same beats always give the same story; the choice among turns of phrase depends on the beats alone.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from vhm.contract.messages import Beat
from vhm.memory import ages, prompt, templates
from vhm.memory.excerpt import AnswerScorer, refers_back, substance
from vhm.memory.forgetting import HIGH, confidence
from vhm.memory.sentences import joined, line, quoted, sentences
from vhm.memory.speaker import known_speakers, speaker
from vhm.memory.time_expressions import tells_time
from vhm.memory.tokenizer import listed, words

MOST_CHARACTERS = 400
SHORT = 120
"""Length up to which a sure memory is told whole or not at all."""

WORD = 0.08
"""Score of a content word, beside that of the words a sentence shares with the question."""

WEAK, WEAK_ANSWER = 0.7, 0.6
"""Shares of the greatest weight below which a memory is left out of an answer; the second is for one that
answers about as well as the best."""

_EVENTS = listed("""
    baked booked cancelled cleaned cooked emailed fixed ironed mended mopped ordered packed phoned planted
    poured repaired slept spilled swept texted washed watered
""")
"""Verbs of what is over within a day, so that it happened when it was remembered."""
_EVENT = re.compile(r"(?P<who>I|We|He|She|They) (?P<verb>[a-z]+) (?P<rest>[^.!?;:…\n]+)[.!]?")
_WORD_END = re.compile(r"(?<!\d)\s|\s(?!\d)|(?<=[，、；：])")
_NOT_AN_EVENT = listed("""
    am is are was were be been i'm he's she's it's we're they're has have had does do did will would can could
    may might should must not when while after before since until till as once whenever always never often
    usually sometimes every ago now then still already soon later earlier first last next used because if
    although though but
    morning noon afternoon evening night nights day days hour hours minute minutes decade
""")


class _Telling(msgspec.Struct):
    """One memory on its way into the story: its sentences, how well each answers, and which are chosen."""

    beat: Beat
    who: str | None
    when: str | None
    parts: list[str]
    scores: list[float]
    chosen: set[int]

    @property
    def band(self) -> str:
        return confidence(self.beat.activation)

    def event(self) -> str | None:
        """What was done, to stand after its time ("I baked bread"); None where it may have been at another
        time."""
        if len(self.parts) != 1 or self.who or not self.when:
            return None
        match = _EVENT.fullmatch(self.parts[0])
        if match is None or match["verb"] not in _EVENTS:
            return None
        rest = words(match["rest"])
        if tells_time(rest) or not _NOT_AN_EVENT.isdisjoint(rest) or re.search(r"\d:\d", match["rest"]):
            return None
        who = match["who"] if match["who"] == "I" else match["who"].lower()
        return f"{who} {match['verb']} {match['rest'].rstrip()}"

    def quotation(self) -> str:
        """The chosen sentences, with "…" where others are left out."""
        pieces: list[str] = []
        for place in range(len(self.parts)):
            if place in self.chosen:
                pieces.append(self.parts[place])
            elif not pieces or pieces[-1] != "…":
                pieces.append("…")
        return quoted(joined(pieces))


def tell(beats: Sequence[Beat], question: str = "", now: datetime | None = None) -> str:
    """A recap of the beats, recent to old, in whole sentences of at most 400 characters together.

    Where not all fits: the strongest memories, and of each the sentences that answer the question."""
    tellings = _tellings(beats, question, now)
    if not tellings:
        return templates.NOTHING
    kept: list[_Telling] = []
    for telling in tellings:
        if not kept or _fits([*kept, telling]):
            kept.append(telling)
    if not _fits(kept):
        _cut(kept)
    for telling in kept:
        _complete(telling, kept)
    return _story(kept)


def _fits(tellings: Sequence[_Telling]) -> bool:
    return len(_story(tellings)) <= MOST_CHARACTERS


def _tellings(beats: Sequence[Beat], question: str, now: datetime | None) -> list[_Telling]:
    """The memories to choose from, by weight, each with the fewest sentences that it can be told in."""
    beats = [beat for beat in beats if line(beat.text)]
    who = known_speakers([beat.text for beat in beats], [beat.meta for beat in beats], question)
    said = [
        sentences(line(beat.text[speaker(beat.text, name).said_from :] if name else beat.text))
        for beat, name in zip(beats, who, strict=True)
    ]
    asked = AnswerScorer(question, [part for parts in said for part in parts], {name for name in who if name})
    tellings = []
    for beat, name, parts in zip(beats, who, said, strict=True):
        scores = [asked.score(part) for part in parts]
        when = f"on {prompt.date(beat.stored_at, now)}" if beat.stored_at and now and asked.when else None
        when = when or ages.spoken(beat.perceived_age)
        chosen = _answer(parts, scores, whole=beat.activation >= HIGH and sum(map(len, parts)) <= SHORT)
        tellings.append(_Telling(beat, name, when, parts, scores, chosen))
    tellings.sort(key=_weight, reverse=True)
    return [telling for telling in tellings if not question or _belongs(telling, tellings[0])]


def _weight(telling: _Telling) -> float:
    """The weight of a memory: its activation, and more where a sentence of it answers the question."""
    return telling.beat.activation * (1 + min(1.0, max(telling.scores)))


def _belongs(telling: _Telling, weightiest: _Telling) -> bool:
    """Whether a memory goes into the story beside that of the greatest weight; a sure one always does."""
    if telling.beat.activation >= HIGH:
        return True
    best = max(weightiest.scores)
    answers = best > 0 and max(telling.scores) >= best / 2
    share = telling.beat.activation / max(weightiest.beat.activation, 1e-9)
    return _weight(telling) >= WEAK * _weight(weightiest) or (answers and share >= WEAK_ANSWER)


def _answer(parts: Sequence[str], scores: Sequence[float], whole: bool) -> set[int]:
    if whole:
        return set(range(len(parts)))
    best = max(range(len(parts)), key=lambda i: (scores[i] + WORD * substance(parts[i]), -i))
    chosen = {best}
    if best and refers_back(parts[best]) and len(parts[best - 1]) + len(parts[best]) <= SHORT:
        chosen.add(best - 1)
    return chosen


def _complete(telling: _Telling, kept: Sequence[_Telling]) -> None:
    """Choose every sentence if there is room, else further ones that answer, and those that an answer refers
    to or that refer to it."""
    answer = telling.chosen
    telling.chosen = set(range(len(telling.parts)))
    if _fits(kept):
        return
    telling.chosen = answer
    answering = [i for i, score in enumerate(telling.scores) if score > 0]
    beside = [i for i in range(1, len(telling.parts)) if i - 1 in answer and refers_back(telling.parts[i])]
    beside += [i - 1 for i in answer if i and refers_back(telling.parts[i])]
    room = MOST_CHARACTERS - len(_story(kept))
    for place in sorted(answering, key=lambda i: -telling.scores[i]) + beside:
        if place in telling.chosen or len(telling.parts[place]) > room:
            continue
        telling.chosen = telling.chosen | {place}
        if not _fits(kept):
            telling.chosen = telling.chosen - {place}
        room = MOST_CHARACTERS - len(_story(kept))


def _cut(kept: list[_Telling]) -> None:
    """The one sentence that is too long for the whole story, up to a word that fits."""
    telling = kept[0]
    (place, *_) = telling.chosen = {min(telling.chosen)}
    text = telling.parts[place]
    ends = [match.start() for match in _WORD_END.finditer(text, 0, MOST_CHARACTERS)]
    for end in reversed(ends):
        telling.parts[place] = text[:end].rstrip(" ,;:–—-/") + " …"
        if _fits(kept):
            return
    telling.parts[place] = "…"


def _story(tellings: Sequence[_Telling]) -> str:
    places = {
        id(beat): place for place, beat in enumerate(prompt.order(telling.beat for telling in tellings))
    }
    ordered = sorted(tellings, key=lambda telling: places[id(telling.beat)])
    seed = zlib.crc32("\n".join(telling.beat.text for telling in ordered).encode("utf-8", "surrogatepass"))
    bands = [telling.band for telling in ordered]
    run = next(i for i in range(len(bands)) if len(set(bands[i:])) == 1)  # from there on all are as sure
    said_once = len(bands) - run > 1 and bands[-1] != "high"
    story: list[str] = []
    for number, telling in enumerate(ordered):
        before = ordered[number - 1] if number else None
        if said_once and number == run:
            story.append((templates.REST if run else templates.ALL)[telling.band])
        if before and _goes_on(before, telling):
            story[-1] += templates.AND + telling.quotation()
        else:
            band = "high" if said_once and number >= run else telling.band
            story.append(_sentence(telling, before, band, seed + number))
    return " ".join(story)


def _goes_on(before: _Telling, telling: _Telling) -> bool:
    """Whether the second may join the first in one sentence: same speaker, age and confidence."""
    same = (before.who, before.when, before.band) == (telling.who, telling.when, telling.band)
    return same and not before.event() and not telling.event()


def _sentence(telling: _Telling, before: _Telling | None, band: str, seed: int) -> str:
    event, when = telling.event(), telling.when or ""
    if not when:
        kind = templates.SAID_SOMETIME if telling.who else templates.NOTED_SOMETIME
    else:
        kind = templates.HAPPENED if event else templates.SAID if telling.who else templates.NOTED
    frame = kind[band][seed % len(kind[band])]
    if before and when and before.when == when:
        frame = kind[band][0]
        when = templates.SAME_TIME if _same_time(before.beat, telling.beat) else templates.ALSO + when
    asked = len(telling.parts) == 1 and telling.parts[0].endswith(("?", "？"))
    text = frame.format(
        when=when,
        day=when.removeprefix("on "),
        who=telling.who,
        said="asked" if asked else "said",
        saying="asking" if asked else "saying",
        what=event or telling.quotation(),
    )
    return text[:1].upper() + text[1:] + ("." if event else "")


def _same_time(one: Beat, other: Beat) -> bool:
    """Whether two memories are known to be of about the same time: a tenth of their age apart at most."""
    if not (one.stored_at and other.stored_at):
        return False
    apart = abs(one.stored_at - other.stored_at)
    age = ages.days(one.perceived_age) or 0.0
    return apart <= (timedelta(days=1) if age < 10 else timedelta(days=age / 10))
