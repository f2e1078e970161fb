"""What the nodes of a flow are built from, checked in the same words on every front."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import FlowError, InputError, PartError, did_you_mean, listed
from .deciding import FLOWING, Decider


def check_settings(kind: str, per: str, known: Sequence[str], shared: Iterable[str], parts: Mapping[str, Any]) -> None:
    """What every node is told: how finely it decides, what all samples share, and its parts."""
    if per not in known:
        words = f"{', '.join(known[:-1])} or {known[-1]}"
        raise PartError(f"a {kind} decides per {words}.", f"per={per!r}", repr(per), "write per='sample'")
    if FLOWING in parts:
        fix = "give the part another name"
        raise PartError("in a flow `x` is the value that flows.", f"{kind}(..., x=...)", "a part called x", fix)
    if isinstance(shared, str):
        raise PartError("`shared` is several names.", f"shared={shared!r}", "one text", f"write shared=({shared!r},)")


def check_when(eval: object) -> None:
    if eval not in (None, True, False):
        fix = "write eval=True: then runs; or eval=False"
        raise PartError("in eval a When takes its branch or not.", f"When(..., eval={eval!r})", repr(eval), fix)


def check_branches(kind: str, branches: Sequence[Any], eval: int | None) -> None:
    if not branches:
        raise PartError(f"a {kind} needs a branch.", f"{kind}(...)", "none", "give it one module or more")
    if eval is not None and eval not in range(len(branches)):
        where = f"{kind}(..., eval={eval!r})"
        raise PartError("there is no branch of this index.", where, repr(eval), indices(len(branches)))


def indices(count: int) -> str:
    """The cure for an index out of range."""
    return f"give whole numbers from 0 to {count - 1}" if count > 1 else "give 0, or a second branch"


def unknown_index(line: str, got: str, count: int) -> FlowError:
    return FlowError("there is no branch of this index.", line, got, indices(count))


def check_die_of_branches(decider: Decider, count: int) -> None:
    most = count - 1
    if decider.die_sides is not None and decider.die_sides > most:
        what, got = "the die has sides without a branch.", f"up to {decider.die_sides}, for {count} branches"
        raise PartError(what, decider.place, got, f"write die(0, {most})")


def cuts(weights: Sequence[float] | None, count: int) -> tuple[tuple[float, ...] | None, list[int], int]:
    """Weights as they were given; where 32 random bits part the branches; and the likeliest one.

    Raises:
        PartError: they are not one for each branch, one is negative, or all are zero.
    """
    try:
        given = None if weights is None else tuple(float(weight) for weight in weights)
    except (TypeError, ValueError):
        given = ()
    known = (1.0,) * count if given is None else given
    if len(known) != count or not all(0 <= weight < float("inf") for weight in known) or not sum(known) > 0:
        fix = f"give {count} numbers, none negative, not all zero"
        raise PartError("a RandomChoice has one weight for each branch.", "weights=...", repr(weights), fix)
    parted = [int(2**32 * sum(known[: place + 1]) / sum(known)) for place in range(count - 1)]
    return given, parted, known.index(max(known))


def check_loop(max_steps: object, on_limit: object) -> None:
    if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1:
        raise PartError(
            "a loop needs a bound of 1 or more.", f"max_steps={max_steps!r}", repr(max_steps), "write max_steps=20"
        )
    if on_limit not in ("stop", "error"):
        raise PartError(
            "samples at the limit are stopped, or an error.",
            f"on_limit={on_limit!r}",
            repr(on_limit),
            "write on_limit='stop'",
        )


def check_no_dice(decider: Decider) -> None:
    if decider.dice:
        fix = "use Repeat(block, 'die(0, 3)')"
        raise PartError("a die falls once for each step, which ends no loop.", decider.place, str(decider), fix)


def endless(line: str, max_steps: int, count: int, size: int) -> FlowError:
    """Samples that were not done at the limit."""
    return FlowError(
        f"the loop did not end within {max_steps} steps.",
        line,
        f"{count} of {size} samples still going",
        "raise max_steps, or let them stop: on_limit='stop'",
    )


def blocks_of(blocks: Any, several: tuple[type, ...]) -> tuple[dict[str, Any], int | None]:
    """The stages of a Repeat by name, and how many there are; None: one block, over and over."""
    if not isinstance(blocks, several):
        return {"block": blocks}, None
    stages = {str(place): block for place, block in enumerate(blocks)}
    if not stages:
        raise PartError("a Repeat needs a block.", "Repeat([], ...)", "an empty list", "give it one module or more")
    return stages, len(stages)


def check_times(decider: Decider, blocks: int | None, eval: object) -> None:
    """How often, where it is known before a run.

    Args:
        decider: the times.
        blocks: how many there are to run; None: one, over and over.
        eval: the times in eval.
    """
    if blocks is not None and (decider.die_sides or 0) > blocks:
        what, got = "the die has sides without a block.", f"up to {decider.die_sides}, for {blocks} blocks"
        raise PartError(what, decider.place, got, f"write die(0, {blocks}), or give it more blocks")
    if eval is not None and (type(eval) is not int or not 0 <= eval <= (eval if blocks is None else blocks)):
        fix = f"give a whole number{', 0 or more' if blocks is None else f' from 0 to {blocks}'}"
        raise PartError("a block runs a whole number of times.", f"Repeat(..., eval={eval!r})", repr(eval), fix)


def wrong_times(decider: Decider, blocks: int | None, line: str, got: str) -> FlowError:
    """Times that are negative, no whole number, or too many."""
    recipe, text = decider.recipe, str(decider)
    if blocks is None:
        fix = f"round and bound it: round(relu({text}))" if recipe else "give a whole number, 0 or more"
        return FlowError("a block runs a whole number of times, 0 or more.", line, got, fix)
    what = f"a whole number of the blocks runs, from 0 to {blocks}."
    bound = f"round and bound it: clamp(round({text}), 0, {blocks})"
    fix = bound if recipe else "give more blocks, or fewer times"
    fix = f"write die(0, {blocks}), or give it more blocks" if decider.dice else fix
    return FlowError(what, line, got, fix)


def not_taken(name: str, given: Iterable[str], wants: Iterable[str], where: str) -> InputError:
    """A side input that nobody takes."""
    fix = did_you_mean(name, wants, f"its stages and conditions take: {listed(sorted(wants))}")
    return InputError(f"nobody takes the side input `{name}`.", where, f"side inputs: {listed(given)}", fix)


def not_per_sample(name: str, shapes: str, size: object, where: str) -> InputError:
    """A side input with axes, the first of which is not that of the samples."""
    return InputError(
        f"the side input `{name}` has not one row for each sample.",
        where,
        f"`{name}` {shapes} for {size} samples",
        f"put the batch axis first, or say that all samples share it: shared=({name!r},)",
    )


def not_given(name: str, keyword: str, title: str, given: Iterable[str]) -> InputError:
    """A side input that a stage needs."""
    return InputError(
        f"a stage takes the side input `{name}`, which is not given.",
        f"{title}(..., {keyword}=...)",
        f"side inputs: {listed(given)}",
        f"give {name}=..., or take it from another: Takes(module, {keyword}='...')",
    )


def nothing_drawn(line: str, kind: str) -> FlowError:
    return FlowError("nothing is drawn in eval.", line, f"a {kind}", "say what holds instead: eval=...")


def unlike(name: str, line: str, got: str, rows: bool) -> FlowError:
    """What a branch returned does not go with the value that flows; `rows`: it has at least one for each sample."""
    what, fix = "returns not one row for each of its samples", "keep the batch axis first, and all samples"
    if rows:
        what = "changes the shape beside samples that pass unchanged"
        fix = "keep the shape, or widen all samples in a stage before"
    return FlowError(f"the branch `{name}` {what}.", line, got, fix)


def cannot_hold(name: str, line: str, got: str) -> FlowError:
    what, fix = "returns what the value that flows cannot hold.", "let floats flow, or return whole numbers"
    return FlowError(f"the branch `{name}` {what}", line, got, fix)


def check_widths(
    kind: str, shown: Sequence[str], into: Sequence[int | None], out: Sequence[int | None], rule: str, place: str
) -> None:
    """Stages that samples may go by or leave out fit each other, as far as their layers tell.

    Args:
        kind: the node that holds them.
        shown: of each stage, what stands in an error: `4 -> 8`, or `unchanged`.
        into: the features that each takes; None: only a run can tell.
        out: those that it gives.
        rule: `one` width in and out, where samples may pass without them; `both`: one width in, and one out; `out`.
        place: the call, for errors.
    """
    groups = {"one": [[*into, *out]], "both": [into, out], "out": [out]}[rule]
    if all(len({*group} - {None}) <= 1 for group in groups):
        return
    subject = "the block" if len(shown) == 1 else "the exits" if rule == "out" else "the blocks"
    widths = {"one": "one width, in and out", "both": "one width in, and one width out", "out": "one width out"}[rule]
    fix = "keep the width, or widen all samples in a stage before" if rule == "one" else "give them equal widths"
    article = "an" if kind[0] in "AEIOU" else "a"
    raise PartError(f"{subject} of {article} {kind} must have {widths}.", place, ", ".join(shown), fix)
