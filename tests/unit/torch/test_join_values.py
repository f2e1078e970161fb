"""The values of a Join: one for each call written, items of what parts return, and what it shows of itself."""

from __future__ import annotations

import linecache
import traceback
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import wye
from tests.unit.torch.plain import linear, tensor


def x(rows: int = 5) -> Tensor:
    return tensor(1, rows, 4)


# one value


class Drawn(nn.Module):
    """A module that draws, and counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return nn.functional.dropout(x, 0.5)


def test_the_same_call_written_twice_is_one_value() -> None:
    net = Drawn()
    join = wye.Join("net(x) - net(x) + twin", net=net, twin="net(x) * 0")
    assert_close(join(torch.ones(100)), torch.zeros(100))
    assert net.calls == 1


def test_draws_tell_calls_apart() -> None:
    net = Drawn()
    join = wye.Join("net(x, draw=1) - net(x, draw=2) + 0 * net(x, draw=1)", net=net)
    assert join(torch.ones(100)).abs().sum() > 0
    assert net.calls == 2


# items


class Outputs(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Any]:
        return {"logits": x * 2, "hidden": (x + 1, [x + 2])}


def test_items_of_what_parts_return() -> None:
    lstm, net = nn.LSTM(4, 3, batch_first=True), Outputs()
    given = torch.randn(2, 5, 4)
    out, (hidden, cell) = lstm(given)
    assert_close(wye.Join("lstm(x)[0]", lstm=lstm)(given), out)
    assert_close(wye.Join("lstm(x)[1][1] + lstm(x)[1][0]", lstm=lstm)(given), cell + hidden)
    assert_close(wye.Join('net(x)["logits"] - net(x)["hidden"][1][0]', net=net)(given), given - 2)
    assert_close(wye.Join("batch['image'] + batch['shift'][0]")({"image": given, "shift": (given,)}), given * 2)


def test_lines_unpack_what_parts_return() -> None:
    lstm = nn.LSTM(4, 3, batch_first=True)
    given = torch.randn(2, 5, 4)
    out, (hidden, cell) = lstm(given)
    join = wye.Join("out, state = lstm(x)\nh, c = state\nlast(out, axis=1) + h[0, b, d] - c[0, b, d]", lstm=lstm)
    assert_close(wye.Join("out, state = lstm(x)\nout", lstm=lstm)(given), out)
    with pytest.raises(wye.ShapeError):
        join(given)
    join.formula = "out[b, t, d], state = lstm(x)\nh, c = state\nout[b, 4, d] + h[0, b, d] - c[0, b, d]"
    assert_close(join(given), out[:, 4] + hidden[0] - cell[0])


def test_several_values() -> None:
    low, high = wye.Join("min(x, y), max(x, y)")(torch.tensor([1.0, 5.0]), torch.tensor([2.0, 3.0]))
    assert (low.tolist(), high.tolist()) == ([1, 3], [2, 5])


# what it shows


def test_it_prints_what_was_typed() -> None:
    join = wye.Join("a(x)+gain*part", a=nn.Linear(4, 3), gain=0.5, part="x  **2", plan=wye.Schedule("min(1,step/5)"))
    head = "Join(\n  'a(x)+gain*part', gain=0.5, part='x  **2', plan=Schedule('min(1,step/5)')\n"
    assert repr(join) == f"{head}  (a): Linear(in_features=4, out_features=3, bias=True)\n)"
    assert str(join.formula) == "a(x) + gain * part"
    assert repr(wye.Join("x + 1")) == "Join('x + 1')"


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ZeroDivisionError("deep inside")


def test_a_traceback_shows_the_line_of_the_formula() -> None:
    join = wye.Join("u = x * 2\nu + broken(u) * 3", broken=Broken())
    with pytest.raises(ZeroDivisionError, match="deep inside") as caught:
        join(x())
    text = "".join(traceback.format_exception(caught.value))
    assert "\n    u + broken(u) * 3\n        ^^^^^^^^^\n" in text
    assert "in forward" in text
    frame = next(
        one for one in traceback.extract_tb(caught.value.__traceback__) if one.filename.startswith("<wye formula")
    )
    assert (frame.lineno, frame.line) == (2, "u + broken(u) * 3")
    linecache.checkcache()
    assert linecache.getline(frame.filename, 1) == "u = x * 2\n"
    assert linecache.getline(frame.filename, 2).strip() == "u + broken(u) * 3"


def test_an_error_inside_a_part_stays_as_it_is() -> None:
    join = wye.Join("a(x) + 1", a=linear(1))
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied") as caught:
        join(tensor(1, 5, 7))
    assert not isinstance(caught.value, wye.WyeError)
