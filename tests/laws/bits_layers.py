"""Scenes of layers of torch that hooks could hurt: fast paths, buffers, shared, sparse, lazy and unusual weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.optim import SGD, Adam, SparseAdam

from tests.laws.bits import Run, adam, deep, momentum, plainly, scene


@contextmanager
def fast_ways(run: Run) -> Iterator[None]:
    """Notes how often encoder layers took the faster way that they have while nothing is hooked to them."""
    calls, whole = list[int](), torch._transformer_encoder_layer_fwd

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return whole(*args, **kwargs)

    torch._transformer_encoder_layer_fwd = counted
    try:
        yield
    finally:
        torch._transformer_encoder_layer_fwd = whole
    assert calls
    run.note("fast calls", len(calls))


def encoder_layer() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)


@scene
def encoder(run: Run) -> None:
    net = nn.TransformerEncoder(encoder_layer(), 2)
    mask = torch.tensor([[False] * 5, [False] * 3 + [True] * 2, [False] * 4 + [True]])
    x, optimizer = torch.rand(3, 5, 16), adam(net)
    run.watch(net, optimizer)
    with fast_ways(run):
        for _ in range(4):
            run.step(optimizer, net(x, src_key_padding_mask=mask).square().mean())
            run.look(net, lambda: net(x, src_key_padding_mask=mask))


@scene
def encoder_layer_alone(run: Run) -> None:
    with fast_ways(run):
        plainly(run, encoder_layer(), lambda: torch.rand(3, 5, 16), steps=4)


@scene
def encoder_called_alone(run: Run) -> None:
    """Between calls of the model a layer of it is called by itself."""
    net = nn.Sequential(encoder_layer(), nn.Linear(16, 2))
    x, optimizer = torch.rand(3, 5, 16), adam(net)
    run.watch(net, optimizer)
    with fast_ways(run):
        for _ in range(3):
            run.step(optimizer, net(x).square().mean())
            run.look(net[0], lambda: net[0](x))


@scene
def attention(run: Run) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend, self.last = nn.MultiheadAttention(16, 4, dropout=0.2, batch_first=True), nn.Linear(16, 2)

        def forward(self, x: Tensor) -> Tensor:
            y, weights = self.attend(x, x, x, need_weights=self.training)
            return self.last(y) + (0 if weights is None else weights.mean())

    plainly(run, Net(), lambda: torch.rand(3, 5, 16))


@scene
def recurrent(run: Run) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.gru = nn.LSTM(6, 8, 2, dropout=0.3, bidirectional=True), nn.GRUCell(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            packed, _ = self.lstm(pack_padded_sequence(x, torch.tensor([5, 3, 2])))
            padded, _ = pad_packed_sequence(packed)
            hidden = None
            for one in padded:
                hidden = self.gru(one, hidden)
            return hidden

    plainly(run, Net(), lambda: torch.rand(5, 3, 6))


@scene
def normed(run: Run) -> None:
    """Buffers, dropout and operations in place behind every layer."""
    plainly(
        run,
        nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout2d(0.3), nn.Flatten(),
            nn.Linear(144, 8), nn.BatchNorm1d(8, momentum=None), nn.ELU(inplace=True), nn.Dropout(0.5),
            nn.AlphaDropout(0.2), nn.RReLU(inplace=True), nn.Linear(8, 3),
        ),
        lambda: torch.rand(6, 1, 8, 8),
    )  # fmt: skip


@scene
def tied(run: Run) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.last = nn.Embedding(10, 6, padding_idx=0), nn.Linear(6, 10, bias=False)
            self.last.weight = self.embed.weight
            self.bag = nn.EmbeddingBag(10, 6)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.embed(x).mean(1) + self.bag(x))

    plainly(run, Net(), lambda: torch.randint(0, 10, (4, 3)))


@scene
def sparse(run: Run) -> None:
    net = nn.Embedding(10, 4, sparse=True)
    optimizer = SparseAdam(list(net.parameters()), lr=0.05)
    run.watch(net, optimizer)
    for _ in range(5):
        run.step(optimizer, net(torch.randint(0, 10, (3,))).square().mean())


@scene
def reparametrized(run: Run) -> None:
    net = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(6, 8)),
        parametrizations.spectral_norm(nn.Linear(8, 8)),
        nn.ReLU(),
        prune.l1_unstructured(nn.Linear(8, 3), "weight", 0.3),
    )
    plainly(run, net, lambda: torch.rand(4, 6))


@scene
def keywords_and_shapes(run: Run) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.unused = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, *, left: Tensor, right: dict[str, Any]) -> dict[str, Any]:
            return {"none": None, "out": (self.a(input=left), [self.b(right["x"])]), "text": "same"}

    net = Net()
    optimizer = momentum(net)
    run.watch(net, optimizer)
    for step in range(6):
        told = net(left=torch.rand(3, 4), right={"x": torch.rand(2, 4), "n": step})
        first, (second,) = told["out"]
        run.step(optimizer, first.mean() + (second.mean() if step % 2 else 0))


@scene
def an_error_in_the_middle(run: Run) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor, fail: bool = False) -> Tensor:
            x = self.a(x)
            if fail:
                raise ArithmeticError("on purpose")
            return self.b(x)

    net, x = Net(), torch.rand(3, 4)
    optimizer = adam(net)
    run.watch(net, optimizer)
    for step in range(6):
        if step % 2:
            with pytest.raises(ArithmeticError):
                net(x, fail=True)
        run.step(optimizer, net(x).square().mean())
    for one in run.seen:
        assert {way: path.calls for way, path in one.ways.items()} == {("a", "b"): 6}
        assert (one.modules["a"].calls, one.modules["b"].calls) == (9, 6)


@scene
def one_inside_another(run: Run) -> None:
    inner = deep()
    outer = nn.Sequential(nn.Linear(4, 6), inner)
    first, second = SGD(inner.parameters(), lr=0.1, momentum=0.9), Adam(outer[0].parameters())
    run.watch(inner, first)
    run.watch(outer, [first, second])
    run.watch(outer)
    for _ in range(4):
        second.zero_grad()
        run.step(first, outer(torch.rand(3, 4)).square().mean() + inner(torch.rand(2, 6)).mean())
        second.step()
        run.state([second])


@scene
def without_arguments(run: Run) -> None:
    """Weights of no elements, complex ones, half ones, frozen ones, 0-dim ones; no input at all."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.nothing, self.scale = nn.Parameter(torch.zeros(0, 3)), nn.Parameter(torch.tensor(2.0))
            self.waves = nn.Parameter(torch.randn(3, dtype=torch.complex64))
            self.halved = nn.Parameter(torch.randn(4, dtype=torch.bfloat16))
            self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)

        def forward(self) -> Tensor:
            total = self.scale * self.waves.abs().sum() + self.halved.float().sum() * self.frozen.sum()
            return total + self.nothing.sum()

    net = Net()
    optimizer = SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=0.1)
    run.watch(net, optimizer)
    for _ in range(5):
        run.step(optimizer, net())


@scene
def lazy(run: Run) -> None:
    net = nn.Sequential(nn.LazyLinear(5), nn.ReLU(), nn.LazyLinear(2))
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    run.watch(net, optimizer)
    for _ in range(4):
        run.step(optimizer, net(torch.rand(3, 4)).square().mean())


@scene
def nested(run: Run) -> None:
    """Samples of unequal lengths, in both layouts."""
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    optimizer = momentum(net)
    run.watch(net, optimizer)
    for layout in (torch.strided, torch.jagged):
        x = torch.nested.nested_tensor([torch.rand(2, 4), torch.rand(3, 4)], layout=layout)
        y = net(x)
        run.step(optimizer, torch.nested.to_padded_tensor(y, 0.0).square().sum())
    for one in run.seen:
        assert [path.samples for path in one.modules.values()] == [4, 4, 4]
