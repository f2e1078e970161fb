"""What torchinfo and torchview say of the two nets. They are installed for this page only: `make field`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torchinfo
import torchview
from torch import Tensor, nn

from docs.field_run import (
    ENTERS,
    PASSES,
    SEED,
    Answer,
    Coin,
    Column,
    Grow,
    Truth,
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

ROWS = ("depth", "var_names", "ascii_only")
COLUMNS = ("output_size", "num_params", "mult_adds", "trainable")
DRAWS = "its own forward draws from the generator"
RUN_WORDS = ("grad", "momentum", "update", "moved", "step")
NETS = (Coin, Grow)


def line(text: str, start: str) -> str:
    """The first line that holds this, with runs of spaces made one."""
    found = next((one for one in text.splitlines() if start in one), "")
    return re.sub(r" {2,}", "  ", found.strip())


def row(text: str, name: str) -> str:
    """The row of a table that begins with this name."""
    return next((re.sub(r" {2,}", "  ", one.strip()) for one in text.splitlines() if one.startswith(name)), "")


def info(net: nn.Module, x: Tensor, mode: str = "eval") -> str:
    return str(torchinfo.summary(net, input_data=x, mode=mode, verbose=0, row_settings=ROWS, col_names=COLUMNS))


def info_names(text: str) -> tuple[str, ...]:
    """The layers that a summary lists, in order."""
    return tuple(re.findall(r"^\+ \w+ \((\w+)\): ", text, re.MULTILINE))


def view(net: nn.Module, x: Tensor, mode: str = "eval") -> str:
    return torchview.draw_graph(net, input_data=x, mode=mode, expand_nested=True).visual_graph.source


def view_rolled(net: nn.Module, x: Tensor) -> str:
    return torchview.draw_graph(net, input_data=x, expand_nested=True, roll=True).visual_graph.source


def view_boxes(text: str) -> dict[str, str]:
    """The boxes of a drawing by number: `Linear`."""
    found = re.findall(r"(\d+) \[label=(.*?)\] *$", text, re.DOTALL | re.MULTILINE)
    boxes = ((number, re.search(r">([\w-]+)<BR/>", box)) for number, box in found)
    return {number: name[1] for number, name in boxes if name}


def one_forward(ask: Callable[[nn.Module, Tensor], str]) -> tuple[str, str, str]:
    """What a tool says of the coin that falls on heads, of a batch that enters the loop, and of one that does not."""
    coin, grow = made(Coin), made(Grow)
    torch.manual_seed(heads_seed())
    return ask(coin, ENTERS), ask(grow, ENTERS), ask(grow, PASSES)


def asked_on_the_way(ask: Callable[[nn.Module, Tensor], Sequence[str]]) -> list[tuple[list[tuple[str, ...]], bool]]:
    """For both nets, what a tool says that is asked before each step, and whether the run stays the same."""
    told: list[tuple[list[tuple[str, ...]], bool]] = []
    for kind in NETS:
        net, ways = made(kind), list[tuple[str, ...]]()
        torch.manual_seed(SEED)
        end = train(net, optimizer_of(net), before=lambda _, x, net=net, ways=ways: ways.append(tuple(ask(net, x))))
        told.append((ways, same(end, plain_run(kind))))
    return told


def counted(ways: Sequence[Sequence[str]]) -> str:
    count = Counter(name for way in ways for name in way)
    return ", ".join(f"{name} {count[name]}" for name in sorted(count))


def bits(told: Sequence[tuple[Any, bool]]) -> Answer:
    (_, coin), (_, grow) = told
    note = "" if coin else "each call draws, so the coins that follow are others"
    return on_both(coin, grow, note=note)


def info_column(coin: Truth, grow: Truth) -> Column:
    heads, enters, passes = one_forward(info)
    told = asked_on_the_way(lambda net, x: info_names(info(net, x, "train")))
    (coin_ways, _), (grow_ways, _) = told
    rounds = one_by_hand(Grow, ENTERS).count("mid")
    alone = left_alone(lambda net: info(net, ENTERS))
    note = f"coin {counted(coin_ways)}; loop {counted(grow_ways)}"
    listed = info_names(passes)
    answers = {
        "ran": Answer("yes" if info_names(heads) == ("heads",) else "no", row(heads, "+ Linear (heads)")),
        "idle": _idle(heads, "tails", "Coin (Coin)"),
        "parameters": Answer(
            "partly" if "Total params: 10" in heads else "no", line(heads, "Total params"), "of all, run or not"
        ),
        "rounds": Answer(
            "yes" if info_names(enters).count("mid") == rounds else "no",
            line(enters, "(recursive)"),
            f"{info_names(enters).count('mid')} rows for `mid`",
        ),
        "never": _idle(passes, "mid", "Grow (Grow)") if "mid" not in listed else Answer("yes"),
        "alone": Answer("yes" if alone else "no", note="" if alone else DRAWS),
        "calls": on_both(
            Counter(sum(coin_ways, ())) == coin.calls, Counter(sum(grow_ways, ())) == grow.calls, "", note
        ),
        "ways": on_both(
            coin_ways == coin.ways, grow_ways == grow.ways, "", "the rows of each summary; on the coin, of other falls"
        ),
        **{key: silent(heads, *RUN_WORDS) for key in ("gradients", "why", "moved", "without", "split")},
        "bits": bits(told),
        "shapes": Answer("yes" if "[2, 1]" in heads else "no", row(heads, "+ Linear (heads)")),
        "operations": Answer("yes" if "Mult-Adds" in heads else "no", line(enters, "(mid): 1-2")),
        "functions": silent(enters, "relu", "norm"),
        "picture": silent(heads, "digraph"),
        "kept": silent(heads, "activations"),
        "decided": silent(enters, "while", "escape"),
    }
    return Column(
        "torchinfo",
        torchinfo.__version__,
        answers,
        [("the coin on heads", heads), ("a batch that never enters the loop", passes)],
    )


def _idle(text: str, name: str, own: str) -> Answer:
    """Whether a layer that did not run is told of; the net has no parameters outside its layers."""
    if name in text:
        return Answer("yes", line(text, name))
    net = made(Coin if own.startswith("Coin") else Grow)
    idle = sum(weight.numel() for weight in net.get_submodule(name).parameters())
    counted_as_own = not list(net.parameters(recurse=False)) and f"  {idle}  --" in row(text, own)
    listed = info_names(str(torchinfo.summary(net, verbose=0, row_settings=ROWS)))
    notes = [f"its {idle} parameters stand in the net's own row"] if counted_as_own else []
    notes += [f"without a batch it lists all: {', '.join(listed)}"] if name in listed else []
    return Answer("no", row(text, own), "; ".join(notes))


def view_column() -> Column:
    heads, enters, passes = one_forward(view)
    told = asked_on_the_way(lambda net, x: list(view_boxes(view(net, x, "train")).values()))
    _, (grow_ways, _) = told
    boxes, rolled = list(view_boxes(enters).values()), list(view_boxes(view_rolled(made(Grow), ENTERS)).values())
    rounds = one_by_hand(Grow, ENTERS).count("mid")
    linear = sum(way.count("Linear") for way in grow_ways)
    alone = left_alone(lambda net: view(net, ENTERS))
    unnamed = "its boxes say `Linear`, not which"
    answers = {
        "ran": Answer("yes" if "heads" in heads else "partly", drawn(heads, "Linear"), unnamed),
        "idle": silent(heads, "tails"),
        "parameters": silent(heads, "param"),
        "rounds": Answer(
            "yes" if boxes.count("Linear") == rounds + 2 == rolled.count("Linear") + rounds - 1 else "no",
            drawn(enters, "relu"),
            f"{boxes.count('Linear')} boxes `Linear`, `first` and `last` among them; "
            f"{rolled.count('Linear')} with `roll=True`, as the rounds then share one",
        ),
        "never": silent(passes, "mid"),
        "alone": Answer("yes" if alone else "no", note="" if alone else DRAWS),
        "calls": Answer("no", note=f"{unnamed}: {linear} boxes in the loop's run"),
        "ways": Answer("no", note=unnamed),
        **{key: silent(heads, *RUN_WORDS) for key in ("gradients", "why", "moved", "without", "split")},
        "bits": bits(told),
        "shapes": Answer("yes" if "(2, 1)" in heads else "no", "output: (2, 1)"),
        "operations": silent(heads, "flop", "mult"),
        "functions": Answer("yes" if {"relu", "norm", "lt"} <= set(boxes) else "no", drawn(enters, "norm")),
        "picture": Answer("yes" if heads.startswith("strict digraph") else "no", line(heads, "digraph")),
        "kept": silent(heads, "activations"),
        "decided": silent(enters, "while", "escape"),
    }
    excerpts = [
        ("the arrows of the coin on heads", short(heads)),
        ("the arrows of the loop, with `roll=True`", short(view_rolled(made(Grow), ENTERS))),
    ]
    return Column("torchview", torchview.__version__, answers, excerpts)


def drawn(dot: str, name: str) -> str:
    """The first box of this name."""
    return next((f"{number}: {box}" for number, box in view_boxes(dot).items() if box == name), "")


def short(dot: str) -> str:
    """A drawing without its looks: the boxes, and the arrows between them."""
    boxes = view_boxes(dot)
    arrows = re.findall(r"^\s*(\d+) -> (\d+)", dot, re.MULTILINE)
    return "\n".join(f"{start} {boxes[start]} -> {end} {boxes[end]}" for start, end in arrows)
