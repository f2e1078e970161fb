"""Contexts, the tensors that an objective holds, in bytes beside the batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import wye
from wye.watching.terms import Terms


def test_contexts_beside_the_batch() -> None:
    class Bank(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("rows", torch.zeros(500, 2, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.rows[: len(x)]

    table = torch.zeros(1, 3).expand(100, 3)
    loss = wye.Objective(
        "mean(x * x) + k * mean(bank(x)) + 0 * mean(table) + 0 * sum(w) + mean(head(x))",
        bank=Bank(), table=table, k=0.5, w=nn.Parameter(torch.zeros(7)), head=nn.Linear(2, 2).double(),
        s=wye.Schedule("step"),
    )  # fmt: skip
    terms = Terms(loss, 1)
    loss(torch.ones(4, 2, dtype=torch.float64, requires_grad=True))
    sizes = {name: (one.shape, one.rows, one.entries, one.dtype, one.bytes) for name, one in terms.contexts.items()}
    assert sizes == {
        "bank.rows": ((500, 2), 500, 1000, "float64", 8000),
        "table": ((100, 3), 100, 300, "float32", 12),
        "w": ((7,), 7, 7, "float32", 28),
    }
    assert (terms.batch.bytes, terms.batch.entries) == (64, 8)
