"""The page beside the field: its truth is what the nets do, and wye's part of it is what wye says today."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

from docs.field_page import BEYOND, FORWARD, RUN, cell, truths, wye_column
from docs.field_run import SEED, STEPS, Coin, Column, Grow, Truth, by_hand, made, optimizer_of, train

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "field.md").read_text()
QUESTIONS = FORWARD | RUN | BEYOND
LEFT_TO_OTHERS = {*BEYOND, "parameters"}
TOOLS = ("torchinfo", "torchview", "torchlens")


@pytest.fixture(scope="module")
def truth() -> dict[type[nn.Module], Truth]:
    return {kind: by_hand(kind) for kind in (Coin, Grow)}


@pytest.fixture(scope="module")
def column(truth: dict[type[nn.Module], Truth]) -> Column:
    return wye_column(truth[Coin], truth[Grow])


def cells(question: str) -> list[str]:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {question} |")]
    return [one.strip() for one in re.split(r"(?<!\\)\|", row)[1:-1]]


@pytest.mark.parametrize("kind", [Coin, Grow])
def test_the_truth_is_what_the_net_does(kind: type[nn.Module], truth: dict[type[nn.Module], Truth]) -> None:
    net, ran, none = made(kind), Counter[str](), Counter[str]()
    for name, layer in net.named_children():
        layer.register_forward_hook(lambda *_, name=name: ran.update([name]))
    optimizer = optimizer_of(net)
    optimizer.register_step_pre_hook(
        lambda *_: none.update(name for name, weight in net.named_parameters() if weight.grad is None)
    )
    torch.manual_seed(SEED)
    train(net, optimizer)
    told = truth[kind]
    assert ran == told.calls
    assert none == told.none
    assert {told.none[name] + told.zero[name] + told.nonzero[name] for name in told.weights} == {STEPS}
    for name, weight in net.named_parameters():
        assert torch.allclose(weight, told.weights[name], rtol=1e-4, atol=1e-6), name


def test_both_nets_leave_layers_out(truth: dict[type[nn.Module], Truth]) -> None:
    coin, grow = truth[Coin], truth[Grow]
    assert min(coin.calls["heads"], coin.calls["tails"]) > 30
    assert coin.moved_without.total() == 0
    assert 30 < sum("mid" not in way for way in grow.ways) < 70
    assert len(set(grow.ways)) > 2
    assert grow.zero["mid.weight"] > 30 < grow.moved_without["mid.weight"]


def test_wye_is_right_wherever_it_answers(column: Column) -> None:
    assert column.answers.keys() == QUESTIONS.keys()
    said = {key: answer.verdict for key, answer in column.answers.items()}
    assert said == {key: "no" if key in LEFT_TO_OTHERS else "yes" for key in QUESTIONS}


@pytest.mark.parametrize("key", QUESTIONS)
def test_the_page_tells_the_truth_and_what_wye_says_today(
    key: str, column: Column, truth: dict[type[nn.Module], Truth]
) -> None:
    told = cells(QUESTIONS[key])
    assert told[1] == truths(truth[Coin], truth[Grow]).get(key, "")
    assert told[-1] == cell(column.answers[key])


def test_the_page_shows_the_tables_of_today(column: Column) -> None:
    assert len(column.excerpts) == 2
    for title, text in column.excerpts:
        assert f"wye, {title}:\n\n```\n{text.rstrip()}\n```\n" in PAGE


def test_every_tool_answers_every_question() -> None:
    for question in QUESTIONS.values():
        told = cells(question)
        assert len(told) == 6
        assert all(re.match(r"\*\*(yes|partly|no)\*\*", one) for one in told[2:]), question


@pytest.mark.parametrize("name", TOOLS)
def test_the_page_was_made_with_the_pinned_versions(name: str) -> None:
    (pin,) = re.findall(rf"^{name}==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert re.search(rf"^- \*\*{name} {re.escape(pin)}\*\*", PAGE, re.MULTILINE | re.IGNORECASE)


def test_the_page_has_nothing_of_one_machine() -> None:
    assert not re.search(r"0x[0-9a-f]{6}|(?<![\w.])/(home|tmp|usr|root|work)/", PAGE)


@pytest.mark.long
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in TOOLS), reason="the tools are there after `make field` only"
)
def test_the_whole_page_is_what_the_tools_say_today(tmp_path: Path) -> None:
    # In a process of its own, for TorchLens wraps torch's functions and leaves them so.
    subprocess.run([sys.executable, "-m", "docs.field_page", str(tmp_path / "field.md")], cwd=ROOT, check=True)
    assert (tmp_path / "field.md").read_text() == PAGE
