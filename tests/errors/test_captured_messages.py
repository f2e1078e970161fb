"""What a capture refuses comes through whole, in `captured_messages.txt`; and what is wrong with values alone is told
when the graph runs, in one line."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import wye
from tests.errors.messages import cases
from tests.errors.nets import FIRST, TOKENS, C, Masked, X, choice, early, loop, switch, when, wider


def compiled(net: nn.Module, *args: Any, **sides: Any) -> Any:
    return torch.compile(net, fullgraph=True, backend="aot_eager")(*args, **sides)


def exported(net: nn.Module, *args: Any, **sides: Any) -> Any:
    return torch.export.export(net, args, sides)


NAMES = {
    **{"nn": nn, "torch": torch, "wye": wye, "X": X, "C": C, "FIRST": FIRST, "TOKENS": TOKENS, "Masked": Masked},
    **{"when": when, "loop": loop, "switch": switch, "choice": choice, "early": early, "wider": wider},
    **{"compiled": compiled, "exported": exported},
}
CASES = cases("captured_messages.txt")


@pytest.mark.parametrize(("call", "message"), CASES, ids=[call for call, _ in CASES])
def test_a_refusal_comes_through_whole(call: str, message: str) -> None:
    torch._dynamo.reset()
    with pytest.raises((wye.WyeError, torch._dynamo.exc.InternalTorchDynamoError)) as caught:
        eval(call.removeprefix(">>> "), NAMES)
    error = caught.value
    told = f"{type(error).__name__}: {error}" if isinstance(error, wye.WyeError) else str(error).strip()
    assert told == message
    assert [line[:7] for line in message.splitlines() if line[:7] in ("  in:  ", "  got: ", "  fix: ")] == [
        "  in:  ",
        "  got: ",
        "  fix: ",
    ]


NAN = C * float("nan")
LATE: list[tuple[nn.Module, dict[str, Any], str]] = [
    (when("c"), {"c": NAN}, "the condition is not a number: c"),
    (wye.Repeat("x + 1", "c"), {"c": NAN}, "`times` is not a number: c"),
    (early(until="c"), {"c": NAN}, "`until` is not a number: c"),
    (switch(), {"c": C + 2}, "there is no branch of this index: Switch('c')"),
    (switch(), {"c": C - 1}, "there is no branch of this index: Switch('c')"),
    (switch(), {"c": C / 2}, "there is no branch of this index: Switch('c')"),
    (wye.Repeat("x + 1", "c"), {"c": -C}, "a block runs a whole number of times, 0 or more: c"),
    (wye.Repeat(["x + 1"], "c"), {"c": C + 1}, "a block runs a whole number of times, 0 or more: c"),
    (
        loop(on_limit="error"),
        {},
        "the loop did not end within 3 steps: While('norm(x) < 10', max_steps=3, on_limit='error')",
    ),
    (
        loop(on_limit="error", max_steps=33, block="x + 0.01"),
        {},
        "the loop did not end within 33 steps: While('norm(x) < 10', max_steps=33, on_limit='error')",
    ),
]


@pytest.mark.parametrize(("net", "sides", "message"), LATE, ids=[f"{net.line}-{m}" for net, _, m in LATE])
def test_what_only_values_show_is_told_when_the_graph_runs(net: nn.Module, sides: dict[str, Any], message: str) -> None:
    torch._dynamo.reset()
    with pytest.raises(RuntimeError) as caught:
        compiled(net, X, **sides)
    assert str(caught.value).strip() == message


def test_what_a_cure_says_is_captured() -> None:
    torch._dynamo.reset()
    for net, sides in (
        (when(then=nn.LayerNorm(2)), {"c": C}),
        (loop(max_steps=2, block=when("norm(x) > 1")), {}),
        (wye.Repeat(when("norm(x) > 1"), "die(0, 2)"), {}),
        (when("any(x > 0.5)"), {}),
        (switch(index="max(round(x))"), {}),
    ):
        assert compiled(net, X, **sides).shape == X.shape
    exported(choice().eval(), X)
