"""Modules for Lightning that keep their own log: which layers ran, and what each gradient was when it was used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Forked(lightning.LightningModule):
    """A layer, a second one for batches of a positive mean, and an end. Each optimizer step is logged before it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.deep, self.last = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 1)
        self.log_of: dict[str, Counter[str]] = {name: Counter() for name, _ in self.named_parameters()}
        self.calls = self.deep_calls = self.deep_samples = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        h = torch.tanh(self.first(x))
        if x.mean() > 0:
            self.deep_calls += 1
            self.deep_samples += len(x)
            h = self.deep(h)
        return self.last(h)

    def training_step(self, batch: Sequence[Tensor], index: int) -> Tensor:
        return self(batch[0]).square().mean()

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=0.01)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
        self.note(held)

    def note(self, held: set[int]) -> None:
        for name, weight in self.named_parameters():
            if id(weight) in held:
                grad = weight.grad
                self.log_of[name]["none" if grad is None else "nonzero" if bool((grad != 0).any()) else "zero"] += 1


class TwoOptimizers(Forked):
    """Manual optimization: the layers by one optimizer on every batch, the end by another on every third."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Sequence[Tensor], index: int) -> None:
        layers, end = self.optimizers()
        loss = self(batch[0]).square().mean()
        layers.zero_grad()
        self.manual_backward(loss)
        layers.step()
        if index % 3 == 2:
            end.step()
            end.zero_grad()

    def configure_optimizers(self) -> Any:
        layers = [*self.first.parameters(), *self.deep.parameters()]
        return torch.optim.SGD(layers, lr=0.1), torch.optim.AdamW(self.last.parameters(), lr=0.01)


class ByHand(Forked):
    """It moves its weights itself, after every second batch."""

    def __init__(self, automatic: bool = False) -> None:
        super().__init__()
        self.automatic_optimization = automatic

    def training_step(self, batch: Sequence[Tensor], index: int) -> None:
        self.zero_grad()
        self.manual_backward(self(batch[0]).square().mean())
        self.note({id(weight) for weight in self.parameters()})
        with torch.no_grad():
            for weight in self.parameters():
                if weight.grad is not None:
                    weight -= 0.1 * weight.grad

    def configure_optimizers(self) -> None:
        return None


def batches(rows: int = 24, size: int = 2) -> DataLoader[Any]:
    x = torch.randn(rows, 3, generator=torch.Generator().manual_seed(5))
    return DataLoader(TensorDataset(x), batch_size=size)


def trainer(callbacks: list[Any], **settings: Any) -> lightning.Trainer:
    quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    return lightning.Trainer(
        accelerator="cpu", max_epochs=2, enable_model_summary=False, callbacks=callbacks, **quiet, **settings
    )
