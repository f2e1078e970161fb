"""What is said of a run beside its tables: one line for all weights that share a story."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .account import Account, Weight
from .attribute import cure

NAMES = 8
"""The most names before a sentence."""
LINES = 16
"""The most stories that are told apart; of more, those of one kind are told together."""


class Story(NamedTuple):
    """What befell a weight: on how many steps, of how many, and why."""

    what: str
    on: int
    steps: int
    why: str


TOLD = {
    "none": "no gradient on {} of {} steps: {}",
    "zero": "a gradient of zeros on {} of {} steps: {}",
    "moved": "moved on {} of {} steps while its gradient was all zeros, by momentum or decay; {}",
    "written": "written into before {} of {} steps, by no optimizer that is watched{}",
}


def sentences(seen: Account) -> Iterator[str]:
    """One line for all weights that share a story, and what there is to say of the run as a whole."""
    yield from _told({key: list(_stories(weight)) for key, weight in seen.weights.items()})
    left = [key for key, weight in seen.weights.items() if not weight.steps]
    if left and len(left) < len(seen.weights):
        yield f"{names(left)}: in no optimizer that stepped"
    if seen.skipped:
        yield f"skipped steps: {seen.skipped}, for a scaled gradient was not finite"
    if seen.unseen:
        hidden = ["the model" if not name else name.removesuffix(":") for name in seen.unseen]
        yield f"{names(hidden)}: in a captured graph, which calls no hook, so its runs are not known"
    elif all(not path.calls for path in seen.modules.values()) and any(one.nonzero for one in seen.weights.values()):
        yield "gradients came, but no call of the model was seen: if compiled before, it calls no hook"
    if seen.strangers:
        yield f"the optimizers hold weights that are in no watched module: {seen.strangers}"
    if not seen.steps:
        why = "no step was seen of an optimizer that holds a weight of the model"
        yield f"{why}; a loop without one of torch says seen.step() at the end of each"
    if seen.terms_lack and seen.terms:
        yield f"terms: {seen.terms_lack}"


def names(keys: Sequence[str]) -> str:
    """The first of them, and how many more."""
    more = len(keys) - NAMES
    return ", ".join(keys) if more <= 0 else f"{', '.join(keys[:NAMES])} and {more} more"


def _stories(weight: Weight) -> Iterator[Story]:
    for why, count in weight.reasons.most_common():
        yield Story("none", count, weight.steps, why)
    for why, count in weight.zero_reasons.most_common():
        yield Story("zero", count, weight.steps, why)
    if weight.moved_without:
        yield Story("moved", weight.moved_without, weight.steps, cure(weight.zero_reasons))
    if weight.written:
        yield Story("written", weight.written, weight.steps, "")


def _told(found: dict[str, list[Story]]) -> Iterator[str]:
    """The lines, kind by kind."""
    exact: dict[Story, list[str]] = {}
    loose: dict[Story, list[tuple[str, int]]] = {}
    for key, stories in found.items():
        for story in stories:
            exact.setdefault(story, []).append(key)
            alike = story._replace(on=0, why=_of_its_module(key, story.why))
            loose.setdefault(alike, []).append((key, story.on))
    if len(exact) <= LINES:
        lines = [(story.what, names(keys), story, str(story.on)) for story, keys in exact.items()]
    else:
        lines = [
            (story.what, names(list(dict.fromkeys(key for key, _ in told))), story, _range(n for _, n in told))
            for story, told in loose.items()
        ]
    for what, words in TOLD.items():
        yield from (
            f"{who}: {words.format(n, story.steps, story.why)}" for kind, who, story, n in lines if kind == what
        )


def _of_its_module(key: str, why: str) -> str:
    """A cause that names the module of the weight, or one around it, without its name."""
    name = why.partition("`")[2].partition("`")[0]
    return why.replace(f"`{name}`", "its module", 1) if name and key.startswith(f"{name}.") else why


def _range(counts: Iterable[int]) -> str:
    known = sorted(counts)
    return str(known[0]) if known[0] == known[-1] else f"{known[0]} to {known[-1]}"
