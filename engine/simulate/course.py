"""What the people of a simulation work on and talk about: exercises, pages, words. Data, and how hard each test is."""

from __future__ import annotations

from collections.abc import Sequence

from engine.simulate.dice import Dice

# Each exercise with its tests, in the order in which people come to them.
EXERCISES: Sequence[tuple[str, Sequence[str]]] = (
    ("hello_loops.py", ("counts_up", "counts_down")),
    ("word_count.py", ("one_line", "empty_text", "many_lines")),
    ("fibonacci.py", ("base_cases", "small_numbers", "large_numbers")),
    ("binary_search.py", ("found", "not_found", "off_by_one")),
    ("bank_account.py", ("deposits", "withdrawals", "overdraft")),
    ("parser.py", ("numbers", "brackets", "precedence")),
    ("coin_change.py", ("no_coins", "exact_amount", "fewest_coins")),
    ("knapsack.py", ("empty_bag", "one_item", "best_value", "zero_weight")),
    ("edit_distance.py", ("same_word", "one_letter", "long_words")),
    ("shortest_path.py", ("one_road", "detour", "no_road")),
)
PAGES = ("docs/strings", "docs/loops", "docs/functions", "docs/recursion", "docs/dictionaries", "docs/testing")
LOST = (
    "I'm stuck on {test}, it keeps failing",
    "why does {file} give the wrong answer?",
    "I don't understand what {test} wants from me",
    "can someone explain dynamic programming to me",
    "I am confused about the base case",
    "my recursion never ends, what do I do?",
    "no idea what this error in {file} means",
    "how do I know which subproblems I need for the knapsack?",
    "is memoizing the same as caching?",
)
CALM = (
    "what time does the lab end?",
    "can I use a dictionary for the table?",
    "thanks, {test} passes now",
    "got it, thank you",
    "do the tests in {file} run in order?",
)
QUESTIONS = (
    "how do I install the package inside a virtual environment?",
    "does anyone know why {test} fails on an empty list?",
    "what is the difference between a list and a tuple?",
    "how can I read a file line by line without loading all of it?",
    "why is my {file} so slow for large numbers?",
    "should I use a class here or just a function?",
    "I'm stuck with {test}, can somebody help me?",
    "I get an index error and have no idea where it comes from",
    "can you explain memoization with an example?",
    "is there a way to sort a dictionary by its values?",
)
FOLLOW_UPS = (
    "I tried that already",
    "it says name not defined",
    "on line 12, I think",
    "ok, let me try",
    "hm, still the same",
    "where would I put that?",
    "python 3.11",
    "that makes no sense to me",
)
THANKS = ("thanks, that works now", "got it, thank you!", "solved, thanks", "ah of course, thank you")
REMARKS = ("good morning", "same here", "have a look at the docs", "nice", "try printing it first", "works for me")


def difficulty(seed: int, file: str, test: str, time: int) -> float:
    """How hard a test is, which nobody is told: 0 is the mean, 1 the deviation. The second ``time`` it is easier."""
    place = next(place for place, (name, _) in enumerate(EXERCISES) if name == file)
    drawn = Dice("simulate", seed, "difficulty", file, test).normal()
    return 0.8 * drawn + (place - len(EXERCISES) / 2) * 0.12 - 0.7 * time
