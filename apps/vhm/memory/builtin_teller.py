"""The built-in teller: the arc of a retelling from the beats alone, without a model.

The same beats always give the same story; which of several turns of phrase it takes hangs on the beats.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Sequence

import msgspec

from vhm.contract.messages import Beat
from vhm.memory import ages, prompt, templates
from vhm.memory.forgetting import fade
from vhm.memory.past_tense import clause, has_verb, of_speaker
from vhm.memory.relative_dates import placed
from vhm.memory.tokenizer import STOP_WORDS, listed
from vhm.memory.utterance import Turn, gist, sentences, substance, turn

MOST_CHARACTERS = 400
MOST_BEATS = 3
NOTHING = "I couldn't piece together a clear thread."

_BREAKS = re.compile(
    r"[,;:–—]\s|\s-{1,2}\s|\s(?=(?:because|which|while|when|after|before|although|until)\s)"
    r"|\s(?=(?:and|but|so)\s(?:I|we|he|she|it|they|you|the|my|there)\b)"
)
_UNFINISHED = listed("""
    am is are was were be been being have has had do does did will would can could may might must a an the my
    your our his her their this that these those to of in on at by for from with as than and or but so if
""")
"""Words with which no clause ends."""
_INNER_QUOTES = re.compile(r"[\"“]([^\"“”]*)[\"”]")
_FADED = re.compile(r" (?:some time (?:ago|earlier)|a while back|sometime|earlier)(?=[.,;!?]|$)")
_ADVERBIAL = re.compile(r"(?:in|at|on|for|after|before|when|while|during|as|if|since|with|from|by)\b")
_DETERMINERS = r"an?|the|my|your|our|his|her|their|this|that"
_AS_NOUN = rf"\b(?:({_DETERMINERS})|some|of|for|with|about)\s+{{}}(?!['’-])(?:\W*$|\W+(\w+))"


class _Part(msgspec.Struct):
    """One sentence of the story: a frame with a place for `what` is told."""

    frame: str
    what: str

    def text(self, room: int) -> str:
        """The sentence in at most `room` characters, where that leaves anything of it."""
        what = _shortened(self.what, room - len(self.frame) + len("{what}"))
        text = self.frame.replace("{what}", what)
        text = text[:1].upper() + text[1:]
        return text if text.endswith((".", "!", "?", "…", "”")) else text + "."


def tell(beats: Sequence[Beat]) -> str:
    """A recap of the beats, recent to old, in whole sentences of at most 400 characters together."""
    told = _worth_telling(beats)
    if not told:
        return NOTHING
    seed = zlib.crc32("\n".join(beat.text for beat in told).encode("utf-8", "surrogatepass"))
    pairs = zip(told, [None, *told], strict=False)
    parts = [_part(beat, before, seed + number) for number, (beat, before) in enumerate(pairs)]
    whole = [part.text(sys.maxsize) for part in parts]
    closing = _closing(told, " ".join(whole), seed)
    wanted = [len(text) for text in whole]
    if sum(wanted) + len(parts) + len(closing) > MOST_CHARACTERS:
        closing = ""  # what happened goes before what it has in common
    rooms = _rooms(wanted, MOST_CHARACTERS - len(closing) - len(parts))
    return " ".join([*(part.text(room) for part, room in zip(parts, rooms, strict=True)), closing]).strip()


def _worth_telling(beats: Sequence[Beat]) -> list[Beat]:
    """The strongest few, recent to old; bare thanks and greetings only when there is nothing else."""
    strongest = sorted((beat for beat in beats if beat.text.strip()), key=lambda beat: -beat.activation)
    rich = [beat for beat in strongest if not _small_talk(turn(beat.text))]
    return prompt.order((rich or strongest)[:MOST_BEATS])


def _small_talk(said: Turn) -> bool:
    return said.speaker is not None and said.picture is None and substance(said.said) == 0


def _rooms(wanted: list[int], room: int) -> list[int]:
    """What each part gets of `room` characters: the short ones what they want, the long ones share."""
    given = [0] * len(wanted)
    by_size = sorted(range(len(wanted)), key=lambda i: wanted[i])
    for position, i in enumerate(by_size):
        given[i] = min(wanted[i], room // (len(wanted) - position))
        room -= given[i]
    return given


def _part(beat: Beat, before: Beat | None, seed: int) -> _Part:
    band = prompt.confidence(beat.activation)
    same = before is not None and ages.days(before.perceived_age) == ages.days(beat.perceived_age)
    if same:
        age = templates.SAME_TIME[seed % len(templates.SAME_TIME)]
    else:
        age = templates.when(beat.perceived_age, seed if band == "low" else None)
    kind, who, what = _content(beat)
    template = kind[band][seed % len(kind[band])]
    if _ADVERBIAL.match(what):
        template = template.replace("{when} {what}", "{when}, {what}")
    frame = template.replace("{when}", age).replace("{who}", who or "someone")
    if before is not None and not same and frame.startswith(("I ", "from ", "of ", "my ")):
        frame = templates.BACK[seed % len(templates.BACK)].format(frame)
    return _Part(frame, what)


def _content(beat: Beat) -> tuple[templates.Phrases, str | None, str]:
    """How to tell a beat: the phrases for its kind, who said it, and what."""
    said = turn(beat.text)
    heard = fade(gist(said.said), beat.activation)
    first, *more = sentences(heard) or [heard]
    age = ages.days(beat.perceived_age) or 0.0
    then = placed(first, age)
    if said.picture and substance(said.said) < 3:
        return templates.SHOWED, said.speaker, templates.pictured(said.picture)
    if said.speaker:
        if first.endswith("?"):
            return templates.ASKED, said.speaker, f"“{first}”"
        narrated = of_speaker(then.rstrip(".!"), said.speaker) if then else None
        if narrated:
            return templates.HAPPENED, said.speaker, narrated
        return templates.SAID, said.speaker, f"“{heard}”"
    told = clause(then.rstrip(".!")) if then and not first.endswith("?") else None
    if told:
        told = _FADED.sub("", told)  # the frame says when
        return templates.HAPPENED, None, ". ".join([told, *(placed(each, age) or each for each in more)])
    return templates.NOTED, None, heard


def _shortened(what: str, room: int) -> str:
    """`what` in at most `room` characters: whole sentences, else up to a pause, else up to a word."""
    quoted = what.startswith("“")
    if not quoted:
        fits = len(what) + (not what.endswith((".", "!", "?", "…"))) <= room
        return what if fits else _fitting(what, max(1, room - 1))
    text = _INNER_QUOTES.sub(r"‘\1’", what[1:-1])
    if len(_quote(text)) > room:
        text = _fitting(text, max(1, room - 3))
    return _quote(text)


def _quote(text: str) -> str:
    return f"“{text}”" if text.endswith((".", "!", "?", "…")) else f"“{text}.”"


def _fitting(text: str, room: int) -> str:
    kept = ""
    for sentence in sentences(text):
        if len(kept) + len(sentence) + 1 > room:
            break
        kept = f"{kept} {sentence}".strip()
    return kept or _to_a_pause(text, room)


def _to_a_pause(text: str, room: int) -> str:
    asked = text.endswith("?") and room > 1
    ends = (match.start() for match in _BREAKS.finditer(text) if match.start() < room)
    pauses = [end for end in ends if text[:end].rpartition(" ")[2].lower() not in _UNFINISHED]
    if pauses and not asked and pauses[-1] > min(10, room // 3) and has_verb(text[: pauses[-1]]):
        return text[: pauses[-1]].rstrip(" ,;:–—-")
    cut = text[: room - 1 - asked]
    return (cut.rsplit(" ", 1)[0] if " " in cut else cut).rstrip(" ,;:–—-") + ("…?" if asked else "…")


def _closing(beats: Sequence[Beat], story: str, seed: int) -> str:
    """What two beats or more have in common, where the story names it: the motifs used as nouns."""
    story = story.lower()
    shared = [noun for word in prompt.motifs(beats) if (noun := _noun(word, story))][:2]
    if not shared:
        return ""
    return templates.CLOSING[seed % len(templates.CLOSING)].format(templates.enumerated(shared))


def _noun(word: str, heard: str) -> str | None:
    """The word as a noun ("the train"); None when nothing heard uses it as one."""
    uses = [
        use[1]
        for use in re.finditer(_AS_NOUN.format(re.escape(word)), heard)
        if use[2] is None or use[2] in STOP_WORDS
    ]
    if not uses:
        return None
    return f"the {word}" if any(uses) else word
