"""The known word that an author may have meant. It guesses near: a wrong guess misleads more than none.

It decides nothing and words little; what is known is for others to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

WORD_MAX = 60  # characters of a word that are looked at
NEAR = 0.6  # as difflib measures, for a first choice: "nwo" is near "now" (0.67)
CANDIDATES_MAX = 5
# One slip for every so many characters: "nigths" is "nights" (1 in 6), "quiet_hours" is not "quiet_for" (3 in 11).
CHARACTERS_PER_SLIP = 4
# Words that begin alike are near whatever their endings: "inactive" is "inactivity" (7 of 10). And so is a word that
# is the beginning of the other: "lenght" is "len".
SAME_BEGINNING = 0.65
WHOLE_BEGINNING = 0.5


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is a slip or another spelling away, or None. Ties go to the first by name."""
    names = sorted(known)
    same = {plain(name): name for name in reversed(names)}.get(plain(word)) if word else None
    if same is not None:
        return same
    written = word[:WORD_MAX].lower()
    for name in get_close_matches(written, names, n=CANDIDATES_MAX, cutoff=NEAR):
        if is_near(written, name.lower()):
            return name
    return None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean "event"?``, or "" where no known word is near."""
    near = nearest(word, known)
    return f'did you mean "{near}"?' if near else ""


def plain(word: str) -> str:
    """A word without what people vary: capitals, what joins its parts, a plural."""
    letters = word.lower().replace("-", "").replace("_", "").replace(" ", "")
    if letters.endswith("ies"):
        return letters[:-3] + "y"
    return letters.removesuffix("s")


def is_near(word: str, name: str) -> bool:
    longest = max(len(word), len(name))
    if slips(word, name) <= max(1, longest // CHARACTERS_PER_SLIP):
        return True
    shortest = min(len(word), len(name))
    alike = next((n for n in range(shortest) if word[n] != name[n]), shortest)
    return alike >= (WHOLE_BEGINNING if alike == shortest > 2 else SAME_BEGINNING) * longest


def slips(word: str, name: str) -> int:
    """How many characters were left out, added, changed, or exchanged with their neighbour (optimal string alignment,
    of Damerau 1964)."""
    before: list[int] = []
    row = list(range(len(name) + 1))
    for i, letter in enumerate(word, 1):
        above, row = row, [i]
        for j, other in enumerate(name, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == name[j - 2] and word[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before = above
    return row[-1]
