"""Words of ``keywords`` that another word already covers, or that an excluded word makes idle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.core.rules import Rule
from engine.lint.finding import Finding
from engine.lint.places import Reading
from engine.triggers.keywords import Keywords

Key = tuple[str, bool]  # folded, and whether it stands for any ending
SHOWN_MAX = 3  # findings per trigger and kind; lists may be long


def check_words(reading: Reading) -> Iterator[Finding]:
    for rule in reading.rules:
        for position, trigger in enumerate(rule.triggers):
            if isinstance(trigger, Keywords) and rule.mode != "off":
                yield from _keywords(reading, rule, position, trigger)


def _keywords(reading: Reading, rule: Rule, position: int, trigger: Keywords) -> Iterator[Finding]:
    wider = list(covered_endings(trigger.any))
    for word, by in wider[:SHOWN_MAX]:
        message = f'the word "{shown(word)}" is one of those that "{shown(by)}" stands for'
        place = reading.of_trigger(rule, position, "any")
        yield reading.found("covered", place, message, "leave it out", rule)
    for word, by in list(implied(trigger.none, trigger.none))[:SHOWN_MAX]:
        message = f'whatever holds "{shown(word)}" holds "{shown(by)}" too, which is excluded anyway'
        place = reading.of_trigger(rule, position, "none")
        yield reading.found("covered", place, message, "leave it out", rule)
    excluded = list(implied(trigger.any, trigger.none))
    needed = list(implied(trigger.all, trigger.none))
    place = reading.of_trigger(rule, position, "none")
    if needed or (trigger.any and len(excluded) == len(trigger.any)):
        word, by = (needed or excluded)[0]
        message = f'whatever holds "{shown(word)}" holds "{shown(by)}" too, which is excluded: this never fires'
        yield reading.found("never-fires", place, message, "", rule)
        return
    for word, by in excluded[:SHOWN_MAX]:
        message = f'whatever holds "{shown(word)}" holds "{shown(by)}" too, which is excluded: the word never counts'
        yield reading.found("covered", place, message, "leave one of the two out", rule)


def covered_endings(words: frozenset[Key]) -> Iterator[tuple[Key, Key]]:
    """Words that a prefix among them finds as well, with the same text: the word, and the prefix."""
    prefixes = {text for text, prefix in words if prefix}
    for text, is_prefix in sorted(words):
        for length in range(1, len(text) + (not is_prefix)):
            # Where a space follows, the text that is found is another: a phrase is more than its first word.
            if text[:length] in prefixes and all(map(_joins, text[length:])):
                yield (text, is_prefix), (text[:length], True)
                break


def implied(words: Iterable[Key], others: frozenset[Key]) -> Iterator[tuple[Key, Key]]:
    """Of words: those that cannot stand in a text without another, of ``others``, standing there; with that one."""
    for word in sorted(words):
        by = next((part for part in _parts(word) if part in others and part != word), None)
        if by is not None:
            yield word, by


def _parts(word: Key) -> Iterator[Key]:
    """Every word that is found wherever this one is."""
    text, is_prefix = word
    for start in range(len(text)):
        if start and _joins(text[start - 1]):
            continue
        for end in range(start + 1, len(text) + 1):
            yield text[start:end], True
            if (end < len(text) and not _joins(text[end])) or (end == len(text) and not is_prefix):
                yield text[start:end], False


def shown(word: Key) -> str:
    return word[0] + ("*" if word[1] else "")


def _joins(character: str) -> bool:
    return character.isalnum() or character == "_"
