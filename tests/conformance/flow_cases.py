"""Nodes of a flow whose value and gradients every front must give: the node, and a plain function of single samples.

All floats are whole multiples of 1/64, so that they are the same in float32, and what decides lies far enough from
its bound for a difference quotient. Formulas are the blocks; what they read of `w` and `gain` stands for weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Row = Callable[..., Array]

SIDES: dict[str, Array] = {
    "x": np.array([[0.5, -1.25, 0.75], [-0.375, 1.625, -2.25], [3.125, -0.625, 1.125], [0.25, 0.5, -0.25]]),
    "c": np.array([1.0, -0.5, 0.25, -2.0]),  # (B,)
    "column": np.array([[-1.0], [0.75], [-0.5], [2.0]]),  # (B, 1)
    "flag": np.array([True, False, False, True]),
    "kind": np.array([2, 0, 1, 2]),
    "depth": np.array([3, 0, 1, 2]),
    "level": np.array(0.75),  # without axes
    "low": np.array(-0.75),
    "one": np.array(1),
    "gain": np.array([0.5, 1.25, -0.75, 2.0]),
    "w": np.array([0.75, -0.5, 1.25]),  # one for all samples
}
SHARED = ("w",)

BLOCK = "tanh(x[b, d] * w[d]) * gain[b] + x[b, d]"
OTHER = "x[b, d] ** 2 * w[d]"
GROWS = "1.5 * x[b, d] + gain[b] ** 2 * x[b, d] + w[d] / 8"


def block(x: Array, s: dict[str, Any]) -> Array:
    return np.tanh(x * s["w"]) * s["gain"] + x


def other(x: Array, s: dict[str, Any]) -> Array:
    return x**2 * s["w"]


def grows(x: Array, s: dict[str, Any]) -> Array:
    return 1.5 * x + s["gain"] ** 2 * x + s["w"] / 8


def norm(x: Array) -> float:
    return float(np.sqrt((x**2).sum()))


@dataclass(frozen=True)
class FlowCase:
    """A node, and what it makes of one sample.

    Args:
        name: in messages.
        reads: what it is given beside `x`.
        build: the node, from a front.
        plain: one sample's new value, from its own and its side inputs; `s["all"]` is the batch of `x`.
        training: whether it is called so.
        die: a seed and a step that the node's dice get.
    """

    name: str
    reads: tuple[str, ...]
    build: Callable[[Any], Any]
    plain: Callable[[Array, dict[str, Any]], Array]
    training: bool = False
    die: tuple[int, int] | None = None


def given(case: FlowCase, empty: bool = False) -> dict[str, Array]:
    values = {name: SIDES[name] for name in ("x", *case.reads)}
    return {name: value[:0] if empty and value.ndim and name not in SHARED else value for name, value in values.items()}


def plainly(case: FlowCase, values: dict[str, Array]) -> Array:
    """One sample after another."""
    rows = list[Array]()
    for place, row in enumerate(values["x"]):
        sides = {n: v[place] if v.ndim and n not in SHARED else v for n, v in values.items() if n != "x"}
        rows.append(np.asarray(case.plain(row, {**sides, "all": values["x"]}), float))
    return np.array(rows)


def when(name: str, reads: str, condition: Any, holds: Callable[..., Any], **options: Any) -> Iterator[FlowCase]:
    """A condition in a When of one branch and of two."""

    def through(row: Array, s: dict[str, Any]) -> Array:
        return block(row, s) if holds(row, s) else row

    def either(row: Array, s: dict[str, Any]) -> Array:
        return block(row, s) if holds(row, s) else other(row, s)

    read = ("w", "gain", *reads.split())
    settings = {"shared": SHARED, **options}
    yield FlowCase(f"When, {name}", read, lambda wye: wye.When(condition, BLOCK, **settings), through)
    yield FlowCase(f"When of two, {name}", read, lambda wye: wye.When(condition, BLOCK, OTHER, **settings), either)


def times(row: Array, s: dict[str, Any], count: int, run: Callable[..., Array] = block) -> Array:
    for _ in range(count):
        row = run(row, s)
    return row


def of_list(row: Array, s: dict[str, Any], count: int) -> Array:
    for run in (block, other, grows)[:count]:
        row = run(row, s)
    return row


def while_(row: Array, s: dict[str, Any], bound: float, most: int, run: Callable[..., Array] = grows) -> Array:
    for _ in range(most):
        if not norm(row) < bound:
            break
        row = run(row, s)
    return row


def chosen(seed: int, step: int, weights: tuple[float, ...], place: int = 0) -> int:
    """Which branch falls: the hash, and the weights summed up, written out."""
    bits = plain_bits(seed, step, place)
    sums = np.cumsum(weights) / sum(weights)
    return int(sum(bits / 2**32 >= cut for cut in sums[:-1]))


def plain_bits(seed: int, step: int, place: int) -> int:
    def mixed(value: int) -> int:
        value = (value ^ (value >> 16)) * 0x21F0AAAD % 2**32
        value = (value ^ (value >> 15)) * 0x735A2D97 % 2**32
        return value ^ (value >> 15)

    return mixed(mixed(mixed(seed) ^ step) ^ (place * 0x9E3779B % 2**32))


def whens() -> Iterator[FlowCase]:
    yield from when("norm(x)", "", "norm(x) > 2", lambda x, s: norm(x) > 2)
    yield from when("an entry of x", "", "max(x) > 1", lambda x, s: x.max() > 1)
    yield from when("axes of x", "", "mean(x[d]) < -0.25", lambda x, s: x.mean() < -0.25)
    yield from when("for nobody", "", "min(x) > 9", lambda x, s: False)
    yield from when("for all", "", "min(x) > -9", lambda x, s: True)
    yield from when("(B,)", "c", "c > 0", lambda x, s: s["c"] > 0)
    yield from when("(B, 1)", "column", "column > 0", lambda x, s: s["column"][0] > 0)
    yield from when("booleans", "flag", "flag", lambda x, s: s["flag"])
    yield from when("numbers for truths", "depth", "depth", lambda x, s: s["depth"] != 0)
    yield from when("(), which holds", "level", "level > 0", lambda x, s: True)
    yield from when("(), which does not hold", "low", "low > 0", lambda x, s: False)
    yield from when("x and sides", "c level", "sum(x) * c > level", lambda x, s: x.sum() * s["c"] > s["level"])
    yield from when("parts", "c", "c > bound and low(x)", lambda x, s: s["c"] > -1 and x[0] < 2, bound=-1.0, low=_low)
    yield from when("a named formula", "c", "size > 2", lambda x, s: norm(x) + s["c"] > 2, size="norm(x) + c")
    yield from when("a plain truth", "", True, lambda x, s: True)
    yield from when("per batch", "", "mean(x) > 0", lambda x, s: s["all"].mean() > 0, per="batch")
    yield from when("per batch of sides", "c", "any(c > 2)", lambda x, s: False, per="batch")


def _low(x: Any) -> Any:
    """A part that conditions call: on single samples, whatever the front."""
    return x[:, 0] < 2


def branches() -> Iterator[FlowCase]:
    read = ("w", "gain", "kind")
    runs = (block, other, grows)
    texts = (BLOCK, OTHER, GROWS)
    yield FlowCase(
        "Switch",
        read,
        lambda wye: wye.Switch("kind", *texts, shared=SHARED),
        lambda x, s: runs[s["kind"]](x, s),
    )
    yield FlowCase(
        "Switch, one that passes, one that nobody takes",
        read,
        lambda wye: wye.Switch("min(kind, 1) * 2", BLOCK, OTHER, None, shared=SHARED),
        lambda x, s: x if s["kind"] else block(x, s),
    )
    yield FlowCase(
        "Switch by x",
        ("w", "gain"),
        lambda wye: wye.Switch("where(norm(x) > 2, 1, 0)", BLOCK, OTHER, shared=SHARED),
        lambda x, s: runs[int(norm(x) > 2)](x, s),
    )
    yield FlowCase(
        "Switch by a number without axes",
        ("w", "gain", "one"),
        lambda wye: wye.Switch("one", *texts, shared=SHARED),
        lambda x, s: other(x, s),
    )
    yield FlowCase(
        "Switch per batch",
        ("w", "gain"),
        lambda wye: wye.Switch("where(mean(x) > 0, 2, 0)", *texts, per="batch", shared=SHARED),
        lambda x, s: grows(x, s),
    )
    for seed, step in ((3, 1), (2**31 - 1, 12)):
        for weights in (None, (1.0, 0.0, 2.5)):
            place = chosen(seed, step, weights or (1.0, 1.0, 1.0))
            yield FlowCase(
                f"RandomChoice of seed {seed}, step {step}, weights {weights}",
                ("w", "gain"),
                lambda wye, weights=weights: wye.RandomChoice(*texts, weights=weights, shared=SHARED),
                lambda x, s, place=place: runs[place](x, s),
                training=True,
                die=(seed, step),
            )
        coin = plain_bits(seed, step, 0) < 0.25 * 2**32
        yield FlowCase(
            f"When of a coin of seed {seed}, step {step}",
            ("w", "gain", "c"),
            lambda wye: wye.When("coin(0.25) or c > 0", BLOCK, shared=SHARED),
            lambda x, s, coin=coin: block(x, s) if coin or s["c"] > 0 else x,
            training=True,
            die=(seed, step),
        )
        die = 1 + plain_bits(seed, step, 0) % 3
        yield FlowCase(
            f"Repeat of a die of seed {seed}, step {step}",
            ("w", "gain"),
            lambda wye: wye.Repeat(BLOCK, "die(1, 3)", shared=SHARED),
            lambda x, s, die=die: times(x, s, die),
            training=True,
            die=(seed, step),
        )
    yield FlowCase(
        "RandomChoice in eval",
        ("w", "gain"),
        lambda wye: wye.RandomChoice(*texts, weights=(1, 3, 3), shared=SHARED),
        lambda x, s: other(x, s),
    )
    yield FlowCase(
        "RandomChoice in eval, as told",
        ("w", "gain"),
        lambda wye: wye.RandomChoice(*texts, eval=2, shared=SHARED),
        lambda x, s: grows(x, s),
    )


def loops() -> Iterator[FlowCase]:
    read = ("w", "gain")
    lists = [BLOCK, OTHER, GROWS]
    for count in (0, 1, 3):
        yield FlowCase(
            f"Repeat {count} times",
            read,
            lambda wye, count=count: wye.Repeat(BLOCK, count, shared=SHARED),
            lambda x, s, count=count: times(x, s, count),
        )
        yield FlowCase(
            f"Repeat of a list, {count} times",
            read,
            lambda wye, count=count: wye.Repeat(lists, count, shared=SHARED),
            lambda x, s, count=count: of_list(x, s, count),
        )
    for bound in (3, 40):  # 40 rounds are one loop of a graph
        yield FlowCase(
            f"Repeat, for each sample, of at most {bound}",
            (*read, "depth"),
            lambda wye, bound=bound: wye.Repeat(BLOCK, f"clamp(depth, 0, {bound})", shared=SHARED),
            lambda x, s: times(x, s, s["depth"]),
        )
        yield FlowCase(
            f"Repeat as often as a number without axes says, of at most {bound}",
            (*read, "one"),
            lambda wye, bound=bound: wye.Repeat(BLOCK, f"min(one + 1, {bound})", shared=SHARED),
            lambda x, s: times(x, s, 2),
        )
        yield FlowCase(
            f"While, of at most {bound}",
            read,
            lambda wye, bound=bound: wye.While("norm(x) < 8", GROWS, max_steps=bound, shared=SHARED),
            lambda x, s, bound=bound: while_(x, s, 8, bound),
        )
        yield FlowCase(
            f"While that nobody enters, of at most {bound}",
            read,
            lambda wye, bound=bound: wye.While("norm(x) < 0.25", GROWS, max_steps=bound, shared=SHARED),
            lambda x, s: x,
        )
        yield FlowCase(
            f"While that one enters, of at most {bound}",
            read,
            lambda wye, bound=bound: wye.While("norm(x) < 1", GROWS, max_steps=bound, shared=SHARED),
            lambda x, s, bound=bound: while_(x, s, 1, bound),
        )
        yield FlowCase(
            f"While of x and sides, of at most {bound}",
            (*read, "c"),
            lambda wye, bound=bound: wye.While("norm(x) + c < 3", GROWS, max_steps=bound, shared=SHARED),
            lambda x, s, bound=bound: while_(x, s, 3 - s["c"], bound),
        )
    yield FlowCase(
        "Repeat of a list, for each sample",
        (*read, "depth"),
        lambda wye: wye.Repeat(lists, "depth", shared=SHARED),
        lambda x, s: of_list(x, s, s["depth"]),
    )
    yield FlowCase(
        "Repeat per batch",
        read,
        lambda wye: wye.Repeat(BLOCK, "clamp(2 * (mean(x) > 0), 0, 3)", per="batch", shared=SHARED),
        lambda x, s: times(x, s, 2),
    )
    yield FlowCase(
        "While per batch",
        read,
        lambda wye: wye.While("norm(x) < 1", GROWS, max_steps=3, per="batch", shared=SHARED),
        lambda x, s: x,
    )


def chains() -> Iterator[FlowCase]:
    yield FlowCase(
        "Chain with side inputs",
        ("w", "gain", "c", "depth"),
        lambda wye: wye.Chain(
            BLOCK, wye.When("c > 0", OTHER), deep=wye.Repeat(BLOCK, "clamp(depth, 0, 3)"), shared=SHARED
        ),
        lambda x, s: times(other(block(x, s), s) if s["c"] > 0 else block(x, s), s, s["depth"]),
    )
    yield FlowCase(
        "When in While in Switch",
        ("w", "gain", "kind", "c"),
        lambda wye: wye.Switch(
            "kind",
            OTHER,
            wye.While("norm(x) < 8", wye.Chain(GROWS, wye.When("c > 0", "x[b, d] + 0.25 * gain[b]")), max_steps=4),
            None,
            shared=SHARED,
        ),
        _nested,
    )


def _nested(x: Array, s: dict[str, Any]) -> Array:
    if s["kind"] != 1:
        return x if s["kind"] == 2 else other(x, s)
    for _ in range(4):
        if not norm(x) < 8:
            break
        x = grows(x, s)
        x = x + 0.25 * s["gain"] if s["c"] > 0 else x
    return x


FLOW_CASES = [*whens(), *branches(), *loops(), *chains()]
