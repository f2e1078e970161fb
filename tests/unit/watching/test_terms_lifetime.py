"""Terms hold no more than they must: memory, copies, calls and backwards that fail, and what is left at the end."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wye
from tests.unit.watching.term_losses import K, data, objective
from wye.watching.terms import Terms


def test_a_backward_that_fails_ends_nothing() -> None:
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.sum()

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
            raise ValueError("not today")

    terms = Terms(loss := wye.Objective(lambda x: (t := Fails.apply(x), {"t": t})), 1)
    loss(torch.ones(3, requires_grad=True))
    assert (terms.terms["t"].value.last, terms.terms["t"].share.last) == (3, None)
    assert terms.why_not == "ValueError in a backward: not today"


# memory, copies, contexts


def test_memory_is_flat() -> None:
    loss, net = objective(), nn.Linear(4, K).double()
    terms = Terms(loss, 1)

    def steps(first: int, count: int) -> int:
        for step in range(first, first + count):
            terms.due(step)
            x, label, picture = data()
            loss(logits=net(x), label=label, picture=picture)[0].backward()
        gc.collect()
        return sum(issubclass(type(one), Tensor) for one in gc.get_objects())

    steps(0, 10)
    before = steps(10, 10)
    assert steps(20, 480) <= before
    assert terms._call is None
    assert len(terms.terms["ce"].value) <= 256


def test_nothing_is_held_of_a_call_that_fails() -> None:
    def body(x: Tensor) -> Tensor:
        raise ValueError("no")

    terms = Terms(loss := wye.Objective(body), 1)
    with pytest.raises(ValueError, match="no"):
        loss(torch.ones(2, requires_grad=True))
    assert terms._call is None


def test_a_copy_is_not_watched() -> None:
    loss = objective()
    terms = Terms(loss, 1)
    x, label, picture = data()
    for other in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        other(logits=x.narrow(1, 0, K).clone().requires_grad_(), label=label, picture=picture)
    assert not terms.terms
    loss(logits=picture.clone().requires_grad_(), label=label, picture=picture)
    assert set(terms.terms) == {"ce", "fit", "beta * fit", "-0.5 * mean(abs(logits))"}


def test_after_the_end_nothing_hangs_on_the_objective() -> None:
    loss = wye.Objective("mean(net(x))", net=nn.Linear(2, 1))
    terms = Terms(loss, 1)
    loss(torch.ones(1, 2))
    terms.stop()
    terms.due(1)
    loss(torch.ones(1, 2))
    assert not loss._forward_hooks
    assert not loss._forward_pre_hooks
    assert not loss._observers
    assert not loss._forward_hooks_always_called
    assert not loss.net._forward_hooks
    assert [step for step, _ in terms.terms["mean(net(x))"].value] == [0]


def test_without_an_objective_there_is_nothing() -> None:
    terms = Terms(None)
    terms.due(0)
    terms.stop()
    assert not terms.terms
    assert not terms.contexts
