"""Whole messages of tables, their updates and their sources; they stand in `table_messages.txt`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import wye
from tests.errors.messages import cases, check

FOLDER = Path()


def ones(*shape: int) -> Tensor:
    return torch.ones(shape)


def ids(*values: int) -> Tensor:
    return torch.tensor(values)


def mapped() -> np.memmap:
    return np.memmap(FOLDER / "map", dtype="float32", mode="w+", shape=(4, 2))


def updated(update: str, table: Tensor | None = None, by: str | None = "id", formula: Any = "x") -> wye.Join:
    return wye.Join(formula, t=wye.Table(ones(4, 2) if table is None else table, by=by, update=update))


def called(update: str, *shape: int, **more: Any) -> Tensor:
    given = {} if "by" in more else {"id": ids(0, 3)}
    return updated(update, **more)(x=torch.ones(shape), **given)


def recomputed() -> None:
    join = updated("t + x", formula="x * x")
    x = ones(2, 2).requires_grad_()
    checkpoint(lambda x: join(x=x, id=ids(0, 1)).sum(), x, use_reentrant=False).backward()


def decided() -> wye.When:
    return wye.When("mean(t) > 0", nn.Linear(2, 2), t=wye.Table(ones(4), update="2 * t"))


def assigned(table: Any) -> None:
    updated("t + x").t = table


def loaded(**parts: Any) -> object:
    wye.save(wye.Join("x + far", far=wye.Table(mapped())), "net.safetensors")
    return wye.load("net.safetensors", parts=parts)


KNOWN = {one.__name__: one for one in (ones, ids, mapped, updated, called, recomputed, decided, assigned, loaded)} | {
    "Table": wye.Table,
    "torch": torch,
    "wye": wye,
}


@pytest.mark.parametrize(("call", "message"), cases("table_messages.txt"))
def test_message(call: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(wye.WyeError) as told:
        eval(call.removeprefix(">>> "), dict(KNOWN))
    check(told.value, message)
