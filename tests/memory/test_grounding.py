"""Numbers and names that nobody said are found; an honest paraphrase is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory.grounding import unsupported

SOURCES = (
    "What did Mara pay for the bike, and when?",
    "8 May 2023 | 2 years ago | confidence high | Mara: I paid 1,200 euros for José's bike in R12 at 14:30.",
    "9 May 2023 | two years ago | confidence low | It's O'Neill's.",
    "We live in Ghent, Belgium, with 3 cats and twenty-five hens; 0.5 l milk",
)


@pytest.mark.parametrize(
    "story",
    [
        "Two years ago Mara told me that she had paid 1200 euros for the bike; it was José's.",
        "I remember 1 200 euros. Jose’s bike, on 8 May 2023, at 2:30 in the afternoon, in R12.",
        "As I recall, we lived in Ghent then: three cats, 25 hens, and 0,5 l of milk. No more.",
        "Mara said: “I paid €1.200.” The two of them were one in this, I’m sure; I'd say so.",
        "It was O’Neill's bike. MARA paid for it. Hens, cats… Belgium!",
        "In May I think she paid, the 8th or 9th.",
    ],
)
def test_an_honest_paraphrase_passes(story):
    assert unsupported(story, SOURCES) == []


@pytest.mark.parametrize(
    ("story", "strange"),
    [
        ("Mara paid 1300 euros.", ["1300"]),
        ("Mara paid 13 euros.", ["13"]),
        ("She bought it at 15:30.", ["15:30"]),
        ("We had four cats.", ["4"]),
        ("We had twenty-six hens.", ["26"]),
        ("I think it was in June that Mara paid.", ["June"]),
        ("We lived in Bruges, Belgium.", ["Bruges"]),
        ("Then, as Mara and Tom said, it rained.", ["Tom"]),
        ("Three years ago Mara paid. Later, in 2024, more.", ["2024"]),
        ("It cost 0.6 l of milk.", ["0.6"]),
    ],
)
def test_what_nobody_said_is_found(story, strange):
    assert unsupported(story, SOURCES) == strange


@given(st.lists(st.text(max_size=80), max_size=4))
def test_the_sources_themselves_are_always_supported(sources):
    for source in sources:
        assert unsupported(source, sources) == []
