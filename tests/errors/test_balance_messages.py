"""Whole messages of Balance; they stand in `balance_messages.txt`."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

import wye
from tests.errors.messages import cases, check

NEEDS_TORCHJD = ("least", "UPGrad", "upgrad", "CAGrad")


def features() -> Tensor:
    return torch.ones(2, 3, requires_grad=True) * 2


h = features()
w = torch.ones(3, requires_grad=True)
around = w * torch.ones(2, 3)


def balance(weighting: Any, **settings: Any) -> wye.Balance:
    return wye.Balance(weighting, **settings)


def ones(gramian: Tensor) -> Tensor:
    return gramian.new_ones(len(gramian))


def one(gramian: Tensor) -> Tensor:
    return gramian.new_ones(1)


def pair(**more: Tensor) -> dict[str, Tensor]:
    return {"a": h.sum(), "b": h.square().mean(), **more}


def total_alone(x: Tensor) -> Tensor:
    return x.sum()


def compiled() -> wye.Objective:
    objective = wye.Objective("mean(x)")
    objective.compile(backend="eager")
    return objective


CASES = cases("balance_messages.txt")


@pytest.mark.parametrize(("call", "message"), CASES, ids=[call for call, _ in CASES])
def test_the_whole_message(call: str, message: str) -> None:
    if any(f'"{name}"' in call for name in NEEDS_TORCHJD):
        pytest.importorskip("torchjd")
    with pytest.raises(wye.WyeError) as caught:
        eval(call.removeprefix(">>> "))
    check(caught.value, message)


def test_torchjd_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("torchjd", "torchjd.aggregation"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(wye.WyeError) as caught:
        wye.Balance("UPGrad")
    message = """BackendError: torchjd is not installed.
  in:  Balance('UPGrad')
  got: no package `torchjd`
  fix: pip install "wye[balance]", or write "sum", or give a function of the Gramian"""
    check(caught.value, message)
    assert isinstance(caught.value, ImportError)


def test_what_torchjd_needs_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchjd")
    import torchjd._mixins

    find = importlib.util.find_spec
    monkeypatch.setattr(torchjd._mixins, "find_spec", lambda name: None if name == "quadprog" else find(name))
    with pytest.raises(wye.WyeError) as caught:
        wye.Balance("UPGrad")
    hint = 'Install them with: pip install "torchjd[quadprog_projector]"'
    message = f"""BackendError: `UPGrad` needs further packages.
  in:  Balance('UPGrad')
  got: QuadprogProjector requires ['quadprog'] to be installed. {hint}
  fix: pip install "torchjd[quadprog-projector]\""""
    check(caught.value, message)
