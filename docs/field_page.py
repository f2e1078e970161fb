"""Writes `field.md`, or another file, from what the tools say today: `make field`, or `python -m docs.field_page`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

import wye
from docs.field_run import (
    ENTERS,
    MOMENTUM,
    PASSES,
    SAMPLES,
    SEED,
    STEPS,
    Answer,
    Coin,
    Column,
    Grow,
    Truth,
    by_hand,
    heads_seed,
    left_alone,
    made,
    on_both,
    one_by_hand,
    optimizer_of,
    plain_run,
    same,
    silent,
    train,
)

FORWARD = {
    "ran": "The coin fell on heads: which layer ran?",
    "idle": "Which one did not?",
    "parameters": "How many of the parameters did not take part?",
    "rounds": "A batch enters the loop: how many rounds?",
    "never": "A batch never enters: which layer did not run?",
    "alone": "Asking leaves generator, weights and mode as they were",
}
RUN = {
    "calls": "How often did each layer run?",
    "ways": "Which layers did each call run, in order?",
    "gradients": "On how many steps had each weight no gradient, zeros, others?",
    "why": "Why had it none?",
    "moved": "How far did each weight move?",
    "without": "Which moved without a gradient, and on how many steps?",
    "split": "How much of it was gradient, how much momentum?",
    "bits": "The run is the same, bit for bit, with the tool as without",
}
BEYOND = {
    "shapes": "Shapes of what each layer gives",
    "operations": "Multiplications and additions",
    "functions": "Operations that are no module: relu, norm, <",
    "picture": "A picture of the graph",
    "kept": "The values of every layer, to look at",
    "decided": "That plain Python decided by a tensor",
}
BLURBS = {
    "torchinfo": "prints a summary of one forward: layers, shapes, parameters, multiply-adds.",
    "torchview": "draws the graph of one forward: modules, functions, shapes, nested as the modules are.",
    "TorchLens": "keeps every value of a forward and all about it, draws it, and may change it on the way;\n"
    "  of a run `trackers.watch` tells the norms of gradients and updates, `ChecksSession` what looks unsound.",
    "wye": "accounts for a run: what ran how often, and for each weight whether, why and by what it moved.",
}


def truths(coin: Truth, grow: Truth) -> dict[str, str]:
    """The right answers, where one is short."""
    parameters = sum(weight.numel() for weight in made(Coin).get_submodule("tails").parameters())
    loops = Counter(way.count("mid") for way in grow.ways)
    mid = f"mid.weight {grow.none['mid.weight']}, {grow.zero['mid.weight']}, {grow.nonzero['mid.weight']}"
    return {
        "ran": one_by_hand(Coin, ENTERS)[0],
        "idle": "tails",
        "parameters": f"{parameters} of {sum(weight.numel() for weight in made(Coin).parameters())}",
        "rounds": str(one_by_hand(Grow, ENTERS).count("mid")),
        "never": "mid" if "mid" not in one_by_hand(Grow, PASSES) else "",
        "calls": f"coin {calls(coin)}; loop {calls(grow)}",
        "ways": "loop, by rounds: " + ", ".join(f"{rounds}: {count}" for rounds, count in sorted(loops.items())),
        "gradients": f"heads.weight {coin.none['heads.weight']}, {coin.zero['heads.weight']}, "
        f"{coin.nonzero['heads.weight']}; {mid}",
        "why": "its layer did not run",
        "without": f"mid.weight, {grow.moved_without['mid.weight']}",
    }


def calls(truth: Truth) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(truth.calls.items()))


def forward(kind: type[nn.Module], x: Tensor) -> wye.Watch:
    """One forward under wye."""
    net = made(kind)
    with wye.watch(net) as seen:
        torch.manual_seed(heads_seed())
        net(x)
    return seen


def run(kind: type[nn.Module]) -> tuple[wye.Watch, bool]:
    """The run under wye, with every step and element looked at, and whether it is the same run."""
    net = made(kind)
    optimizer = optimizer_of(net)
    torch.manual_seed(SEED)
    with wye.watch(net, optimizer, every=1, elements=None) as seen:
        end = train(net, optimizer)
    return seen, same(end, plain_run(kind))


def ran(seen: wye.Watch, ever: bool) -> list[str]:
    """The layers that ran, or that did not."""
    return [name for name, path in seen.modules.items() if name and bool(path.calls) is ever]


def gradients_right(seen: wye.Watch, truth: Truth) -> bool:
    told = {name: (one.none, one.zero, one.nonzero) for name, one in seen.weights.items()}
    return told == {name: (truth.none[name], truth.zero[name], truth.nonzero[name]) for name in truth.weights}


def close(told: float | None, true: float) -> bool:
    return told is not None and abs(told - true) <= 1e-3 * abs(true) + 1e-6


def wye_column(coin: Truth, grow: Truth) -> Column:
    """What wye says."""
    heads, enters, passes = forward(Coin, ENTERS), forward(Grow, ENTERS), forward(Grow, PASSES)
    (one, one_same), (two, two_same) = run(Coin), run(Grow)
    both, text = ((one, coin), (two, grow)), heads.table() + enters.table()
    lead, loop, way = one.weights["heads.weight"], two.weights["mid.weight"], next(iter(one.ways))
    why = [*lead.reasons, *loop.zero_reasons]
    named = [any("`heads` did not run" in sentence for sentence in why), any("`mid` did not run" in s for s in why)]
    rounds = enters.modules["mid"].calls
    moved = [
        all(
            close(seen.weights[name].moved, sum(float(move.abs().sum()) for move in truth.moved[name]))
            for name in truth.weights
        )
        for seen, truth in both
    ]
    split = [
        all(
            close(seen.weights[name].by_gradient, truth.by_gradient[name])
            and close(seen.weights[name].by_momentum, truth.by_momentum[name])
            for name in truth.weights
        )
        for seen, truth in both
    ]
    without = {name: weight.moved_without for name, weight in two.weights.items()}
    answers = {
        "ran": _equal(
            ran(heads, True), list(one_by_hand(Coin, ENTERS)), f'seen.modules["heads"] = {heads.modules["heads"]}'
        ),
        "idle": _equal(ran(heads, False), ["tails"], f'seen.modules["tails"] = {heads.modules["tails"]}'),
        "parameters": silent(text, "param"),
        "rounds": _equal(
            rounds, one_by_hand(Grow, ENTERS).count("mid"), f'seen.modules["mid"] = {enters.modules["mid"]}'
        ),
        "never": _equal(ran(passes, False), ["mid"], f'seen.modules["mid"] = {passes.modules["mid"]}'),
        "alone": Answer("yes" if left_alone(lambda net: wye.watch(net).stop()) else "no", note="no forward of its own"),
        "calls": on_both(
            *(all(seen.modules[n].calls == truth.calls[n] for n in ran(seen, True)) for seen, truth in both),
            f'seen.modules["tails"] = {one.modules["tails"]}',
        ),
        "ways": on_both(
            *({way: path.calls for way, path in seen.ways.items()} == Counter(truth.ways) for seen, truth in both),
            f"seen.ways[{way!r}] = {one.ways[way]}",
        ),
        "gradients": on_both(
            *(gradients_right(seen, truth) for seen, truth in both), f'seen.weights["mid.weight"].zero = {loop.zero}'
        ),
        "why": on_both(*named, next(iter(lead.reasons), ""), next(iter(loop.zero_reasons), "")),
        "moved": on_both(*moved, f'seen.weights["mid.weight"].moved = {loop.moved:.3f}'),
        "without": _equal(
            without,
            {name: grow.moved_without[name] for name in grow.weights},
            f'seen.weights["mid.weight"].moved_without = {loop.moved_without}',
        ),
        "split": on_both(
            *split, f"by_gradient = {loop.by_gradient or 0:.3f}, by_momentum = {loop.by_momentum or 0:.3f}"
        ),
        "bits": on_both(one_same, two_same),
        "shapes": silent(text, "(2, 1)", "[2, 1]", "shape"),
        "operations": silent(text, "flop", "mult"),
        "functions": silent(text, "relu", "norm"),
        "picture": silent(text, "digraph", "svg"),
        "kept": silent(text, "activation", "tensor("),
        "decided": silent(text, "while", "if "),
    }
    return Column("wye", "", answers, [("the run of the coin", one.table()), ("the run of the loop", two.table())])


def _equal(told: object, true: object, shown: str) -> Answer:
    return Answer("yes" if told == true else "no", shown)


def cell(answer: Answer) -> str:
    """An answer in a table."""
    tick = "``" if "`" in answer.shown else "`"
    space = " " if "`" in answer.shown else ""
    shown = f": {tick}{space}{answer.shown}{space}{tick}" if answer.shown else ""
    note = f"; {answer.note}" if answer.note else ""
    return f"**{answer.verdict}**{shown}{note}".replace("|", "\\|")


def rows(questions: dict[str, str], true: dict[str, str], columns: Sequence[Column]) -> str:
    head = [
        "| question | truth | " + " | ".join(column.name for column in columns) + " |",
        "|---" * (len(columns) + 2) + "|",
    ]
    body = [
        f"| {question} | {true.get(key, '')} | " + " | ".join(cell(column.answers[key]) for column in columns) + " |"
        for key, question in questions.items()
    ]
    return "\n".join([*head, *body])


def page(columns: Sequence[Column], coin: Truth, grow: Truth) -> str:
    """The whole page."""
    true = truths(coin, grow)
    tools = "\n".join(
        f"- **{column.name}{column.version and ' '}{column.version}** {BLURBS[column.name]}" for column in columns
    )
    excerpts = "\n\n".join(
        f"{column.name}, {title}:\n\n```\n{text.rstrip()}\n```" for column in columns for title, text in column.excerpts
    )
    return f"""# Beside the field

Four tools that say what a network does, asked the same questions about two nets of plain torch. All answers are read
from what the tools print and hold, by `make field`; whether one is right is decided against a truth worked out by hand.

{tools}

They are made for different ends. Where another tool answers, use it: they go together.

The *coin* sends its input through `heads` or `tails`, as `torch.rand(()) < 0.5` falls; gradients become None between
steps. The *loop* is `first`, then `mid` while the norm is below 10, then `last`; gradients become zeros between steps.
A run is {STEPS} steps of SGD with momentum {MOMENTUM}, on batches of {SAMPLES}. wye looks at every step and element
(`every=1, elements=None`). "Partly" is right on one net of the two, or less than was asked.

## One forward

{rows(FORWARD, true, columns)}

## A run of {STEPS} steps

torchinfo and torchview tell of one forward; here they are asked before each step. Of TorchLens three ways into a run
are taken: `trackers.watch` beside the loop, `ChecksSession` beside it, `fastlog.Recorder.log` in place of the call.

{rows(RUN, true, columns)}

## What wye leaves to others

{rows(BEYOND, true, columns)}

## From their output

{excerpts}
"""


def main(path: Path) -> None:
    from docs import field_lens, field_tools  # the tools are no dependency of the project

    coin, grow = by_hand(Coin), by_hand(Grow)
    columns = [
        field_tools.info_column(coin, grow),
        field_tools.view_column(),
        field_lens.column(coin, grow),
        wye_column(coin, grow),
    ]
    path.write_text(page(columns, coin, grow))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).with_name("field.md"))
