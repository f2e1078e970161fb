"""Idle weights: those whose branches took no sample before a step are bit-identical after it, and have no gradient.

Each step is compared with plain torch on a copy of the layers and of the optimizer, in which the gradients of idle
weights were set to None by hand.
"""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import wye

OPTIMIZERS = sorted(
    name
    for name, kind in vars(torch.optim).items()
    if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer) and kind is not torch.optim.Optimizer
)
WISHES = {"momentum": 0.9, "weight_decay": 0.1, "lr": 0.05}
"""What moves a weight whose gradient is zero, for the optimizers that have it."""
OFF, ON = torch.zeros(4), torch.ones(4)


def optimizer_of(name: str, weights: Any, **more: Any) -> torch.optim.Optimizer:
    kind = getattr(torch.optim, name)
    known = inspect.signature(kind).parameters
    return kind(list(weights), **{key: value for key, value in WISHES.items() if key in known}, **more)  # type: ignore[no-any-return]


def ways(name: str) -> list[dict[str, bool]]:
    """Plain, foreach and fused, as far as the class has them."""
    known = inspect.signature(getattr(torch.optim, name)).parameters
    return [{}, *({key: truth} for key in ("foreach", "fused") if key in known for truth in (True, False))]


def layer(name: str = "") -> nn.Module:
    """A layer without a bias where the optimizer takes matrices alone, one of sparse gradients where it takes those."""
    if name == "SparseAdam":
        return Looked()
    return nn.Linear(3, 3, bias=name != "Muon").double()


class Looked(nn.Module):
    """Adds a row of a table; the gradient of the table is sparse."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 3, sparse=True).double()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table((x[:, 0].detach().abs() * 10).long() % 5)


def data(seed: int) -> Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def snapshot(module: nn.Module) -> list[Tensor]:
    return [weight.detach().clone() for weight in module.parameters()]


def assert_idle(module: nn.Module, before: list[Tensor]) -> None:
    for weight, old in zip(module.parameters(), before, strict=True):
        assert torch.equal(weight, old)
        assert weight.grad is None


def moved(module: nn.Module, before: list[Tensor]) -> bool:
    return any(not torch.equal(weight, old) for weight, old in zip(module.parameters(), before, strict=True))


def test_there_is_no_optimizer_that_is_not_tested() -> None:
    assert {"SGD", "Adam", "AdamW", "LBFGS", "SparseAdam", "Muon", "Adafactor"} <= set(OPTIMIZERS)
    assert len(OPTIMIZERS) >= 14


@pytest.mark.parametrize("to_none", [True, False])
@pytest.mark.parametrize(("name", "way"), [(name, way) for name in OPTIMIZERS for way in ways(name)], ids=str)
def test_every_optimizer(name: str, way: dict[str, bool], to_none: bool) -> None:
    torch.manual_seed(3)
    net = wye.Chain(layer(name), deep=wye.When("c > 0.5", layer(name)))
    plain, branch = copy.deepcopy(net.get_submodule("0")), copy.deepcopy(net.deep.then)
    ours = optimizer_of(name, net.parameters(), **way)
    theirs = optimizer_of(name, [*plain.parameters(), *branch.parameters()], **way)
    for step, control in enumerate((ON, OFF, OFF, ON, OFF, ON)):
        taken = control is ON

        def closure(step: int = step, control: Tensor = control) -> Tensor:
            ours.zero_grad(set_to_none=to_none)
            loss = net(data(step), c=control).square().sum()
            loss.backward()
            return loss

        def by_hand(step: int = step, taken: bool = taken) -> Tensor:
            theirs.zero_grad()
            h = plain(data(step))
            loss = (branch(h) if taken else h).square().sum()
            loss.backward()
            return loss

        before, rows = snapshot(net.deep), [weight.detach().clone() for weight in branch.parameters()]
        for optimizer, run in ((ours, closure), (theirs, by_hand)):
            if name == "LBFGS":
                optimizer.step(run)
            else:
                run()
                optimizer.step()
        if taken:
            assert moved(net.deep, before)
        else:
            assert_idle(net.deep, before)
            for weight, row in zip(branch.parameters(), rows, strict=True):
                if name == "LBFGS":  # moves all weights along one line
                    with torch.no_grad():
                        weight.copy_(row)
        for one, other in zip(net.parameters(), [*plain.parameters(), *branch.parameters()], strict=True):
            assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_zeros_would_have_moved_it() -> None:
    """Else the tests above could not fail: the same without a node, its gradients zeroed."""
    for name in ("SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Muon"):
        branch = layer(name)
        optimizer = optimizer_of(name, branch.parameters())
        branch(data(0)).square().sum().backward()
        optimizer.step()
        before = snapshot(branch)
        optimizer.zero_grad(set_to_none=False)
        optimizer.step()
        assert moved(branch, before), name


def test_accumulated_gradients_are_never_dropped() -> None:
    net = wye.When("c > 0.5", layer())
    twin = copy.deepcopy(net.then)
    ours, theirs = (optimizer_of("SGD", one.parameters()) for one in (net, twin))
    for step in range(8):
        controls = [ON if (step + micro) % 4 == 0 else OFF for micro in range(3)]
        before = snapshot(net)
        ours.zero_grad(set_to_none=False)
        theirs.zero_grad()
        for micro, control in enumerate(controls):
            net(data(3 * step + micro), c=control).square().sum().backward() if control is ON else net(
                data(0), c=control
            )
            if control is ON:
                twin(data(3 * step + micro)).square().sum().backward()
        ours.step()
        theirs.step()
        if not any(control is ON for control in controls):
            assert_idle(net, before)
        for one, other in zip(net.parameters(), twin.parameters(), strict=True):
            assert_close(one, other, rtol=1e-12, atol=0)


def test_a_zero_gradient_of_a_weight_that_was_used_still_moves_it() -> None:
    """Behind a dead ReLU the branch ran: momentum and decay move it, exactly as in plain torch."""
    for name in ("SGD", "Adam", "AdamW"):
        net = wye.When("c > 0.5", nn.Sequential(nn.Linear(3, 3), nn.ReLU()).double())
        twin = copy.deepcopy(net.then)
        ours, theirs = (optimizer_of(name, one.parameters()) for one in (net, twin))
        for step in range(4):
            ours.zero_grad(set_to_none=False)
            theirs.zero_grad(set_to_none=False)
            shift = -100.0 if step else 1.0
            for one, run in ((net, lambda x: net(x, c=ON)), (twin, twin)):  # noqa: B023
                with torch.no_grad():
                    next(p for n, p in one.named_parameters() if n.endswith("bias")).fill_(shift)
                run(data(step)).sum().backward()
            before = snapshot(net)
            ours.step()
            theirs.step()
            if step:
                assert all(weight.grad is not None and not weight.grad.any() for weight in net.parameters())
            assert moved(net, before)
            for one, other in zip(net.parameters(), twin.parameters(), strict=True):
                assert torch.equal(one, other)


def test_a_gradient_that_is_not_zero_is_never_dropped() -> None:
    """A branch called by hand, or a gradient put there, is not an idle one's zeros; nor is NaN."""
    for value in (1e-300, -0.5, float("nan"), float("inf")):
        net = wye.When("c > 0.5", layer())
        optimizer = optimizer_of("SGD", net.parameters())
        net(data(0), c=OFF)
        for weight in net.parameters():
            weight.grad = torch.zeros_like(weight)
            weight.grad.view(-1)[-1] = value
        before = snapshot(net)
        optimizer.step()
        assert all(weight.grad is not None for weight in net.parameters())
        assert moved(net, before)


# shared weights


SHARED = ("two branches of one node", "two nodes", "a branch and a loop", "a branch of a branch")


def shared_in(where: str) -> tuple[nn.Module, nn.Module]:
    """A net and its shared layer, which is used where c > 0.5, and in other ways where `other` > 0.5."""
    one = layer()
    net = {
        "two branches of one node": lambda: wye.Switch("c + 2 * other", None, one, one, one),
        "two nodes": lambda: wye.Chain(wye.When("c > 0.5", one), wye.When("other > 0.5", one)),
        "a branch and a loop": lambda: wye.Chain(wye.When("c > 0.5", one), wye.Repeat(one, "other")),
        "a branch of a branch": lambda: wye.Chain(
            wye.When("c > 0.5", wye.Chain(wye.When("c > 0.5", one))), wye.When("other > 0.5", nn.Sequential(one))
        ),
    }[where]()
    return net, one


@pytest.mark.parametrize(
    "where", ["two branches of one node", "two nodes", "a branch and a loop", "a branch of a branch"]
)
def test_shared_weights_are_idle_only_if_all_their_owners_are(where: str) -> None:
    net, one = shared_in(where)
    optimizer = optimizer_of("SGD", net.parameters())
    with torch.no_grad():
        for weight in one.parameters():
            weight.mul_(0.3)
    for step, (c, other) in enumerate([(ON, ON), (ON, OFF), (OFF, ON), (OFF, OFF), (ON, OFF), (OFF, OFF)]):
        optimizer.zero_grad(set_to_none=False)
        before = snapshot(one)
        y = net(data(step), c=c, other=other)
        y.square().sum().backward() if y.requires_grad else None
        if step == 1:  # a gradient of zeros, of a layer that ran
            optimizer.zero_grad(set_to_none=False)
        optimizer.step()
        if c is OFF and other is OFF:
            assert_idle(one, before)
        else:
            assert moved(one, before)


def test_a_layer_shared_by_a_branch_and_the_chain_is_never_idle() -> None:
    one = layer()
    net = wye.Chain(one, wye.When("c > 0.5", one))
    twin = copy.deepcopy(one)
    ours, theirs = (optimizer_of("SGD", [*module.parameters()]) for module in (one, twin))
    for step in range(4):
        ours.zero_grad(set_to_none=False)
        theirs.zero_grad(set_to_none=False)
        scale = 0.0 if step % 2 else 1.0  # a loss of no weight: zeros, of a layer that ran
        (net(data(step), c=OFF).square().sum() * scale).backward()
        (twin(data(step)).square().sum() * scale).backward()
        ours.step()
        theirs.step()
        for a, b in zip(one.parameters(), twin.parameters(), strict=True):
            assert torch.equal(a, b)


def test_two_optimizers_over_one_branch_have_intervals_of_their_own() -> None:
    net = wye.When("c > 0.5", layer())
    weight, bias = net.then.weight, net.then.bias
    often, seldom = optimizer_of("SGD", [weight]), optimizer_of("SGD", [bias])
    for step in range(12):
        control = ON if step % 6 == 0 else OFF
        before = weight.detach().clone(), bias.detach().clone()
        y = net(data(step).requires_grad_(), c=control)
        y.square().sum().backward()
        often.step()
        assert torch.equal(weight, before[0]) is (control is OFF)
        often.zero_grad(set_to_none=False)
        if step % 3 == 2:
            seldom.step()
            # The branch ran in the first three steps of six, and in none of the last three.
            assert torch.equal(bias, before[1]) is (step % 6 == 5)
            seldom.zero_grad(set_to_none=False)


def test_a_branch_beneath_an_idle_one() -> None:
    net = wye.When("c > 0.5", wye.Chain(layer(), wye.Repeat(layer(), "other"), wye.RandomChoice(layer(), layer())))
    optimizer = optimizer_of("AdamW", net.parameters())
    for step, (c, other) in enumerate([(ON, ON), (OFF, ON), (ON, OFF), (OFF, OFF)]):
        optimizer.zero_grad(set_to_none=False)
        before = {name: weight.detach().clone() for name, weight in net.named_parameters()}
        net(data(step).requires_grad_(), c=c, other=other).square().sum().backward()
        choice = [(p.calls, p.samples) for p in net.then.get_submodule("2").paths.values()]
        optimizer.step()
        assert choice
        for name, weight in net.named_parameters():
            ran = c is ON and (other is ON or not name.startswith("then.1"))
            if not name.startswith("then.2"):
                assert torch.equal(weight, before[name]) is not ran, name
                assert (weight.grad is None) is not ran, name
        still = [torch.equal(w, before[n]) for n, w in net.named_parameters() if n.startswith("then.2")]
        assert sum(still) == (4 if c is OFF else 2)


# how a step comes about


NODES: dict[str, tuple[Callable[[], Any], str, dict[str, Any]]] = {
    "When": (lambda: wye.When("c > 0.5", layer()), "then", {"c": OFF}),
    "Switch": (lambda: wye.Switch("c", layer(), layer()), "1", {"c": OFF}),
    "Repeat": (lambda: wye.Repeat(layer(), "c"), "block", {"c": OFF}),
    "While": (lambda: wye.While("norm(x) < c", layer(), max_steps=3), "block", {"c": OFF}),
    "EarlyExit": (lambda: wye.EarlyExit([layer(), layer()], [layer(), layer()], "c < 0.5"), "stage1", {"c": OFF}),
}


@pytest.mark.parametrize("how", ["compiled", "reentrant", "not reentrant", "deep copy", "pickle", "eager"])
@pytest.mark.parametrize("kind", NODES)
def test_every_node(kind: str, how: str) -> None:
    make, stage, sides = NODES[kind]
    net = make()
    if how == "deep copy":
        net = copy.deepcopy(net)
    elif how == "pickle":
        net = pickle.loads(pickle.dumps(net))
    run: Any = net
    if how == "compiled":
        torch._dynamo.reset()
        run = torch.compile(net, backend="aot_eager", fullgraph=True)
    elif "reentrant" in how:
        run = lambda x, **sides: checkpoint(lambda x: net(x, **sides), x, use_reentrant=how == "reentrant")  # noqa: E731
    optimizer = optimizer_of("AdamW", net.parameters())
    branch = net.get_submodule(stage)
    for step, control in enumerate((sides["c"] + 1, sides["c"], sides["c"] + 1, sides["c"])):
        optimizer.zero_grad(set_to_none=False)
        before = snapshot(branch)
        run((data(step) * 0.1).requires_grad_(), c=control).square().sum().backward()
        optimizer.step()
        if step % 2:
            assert_idle(branch, before)
        else:
            assert moved(branch, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(
    ("name", "way"), [("SGD", {}), ("AdamW", {"fused": True}), ("Adam", {"foreach": True})], ids=str
)
def test_mixed_precision(name: str, way: dict[str, bool], dtype: torch.dtype) -> None:
    net = wye.Chain(nn.Linear(3, 3), deep=wye.When("c > 0.5", nn.Linear(3, 3)))
    optimizer = optimizer_of(name, net.parameters(), **way)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
    for step, control in enumerate((ON, OFF, ON, OFF, OFF)):
        optimizer.zero_grad(set_to_none=False)
        before = snapshot(net.deep)
        with torch.autocast("cpu", dtype=dtype):
            loss = net(data(step).float(), c=control).square().mean()
        scaler.scale(loss).backward()
        if step == 4:
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        if control is OFF:
            assert_idle(net.deep, before)
        else:
            assert moved(net.deep, before)


def test_steps_that_overflow_end_no_interval() -> None:
    """The scaler skipped the step after the branch had run: its weights are not idle in the next."""
    net = wye.Chain(nn.Linear(3, 3), deep=wye.When("c > 0.5", nn.Linear(3, 3)))
    optimizer = optimizer_of("SGD", net.parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
    before = snapshot(net)
    scaler.scale(net(data(0).float(), c=ON).sum() * float("inf")).backward()
    scaler.step(optimizer)
    assert not moved(net, before)
    scaler.update()
    optimizer.zero_grad()
    scaler.scale(net(data(0).float(), c=OFF).square().sum()).backward()
    before = snapshot(net.deep)
    scaler.step(optimizer)
    assert_idle(net.deep, before)


def test_a_node_that_lost_a_stage_disturbs_no_other_training() -> None:
    hurt = wye.When("c > 0.5", nn.Linear(2, 2))
    hurt(torch.ones(1, 2), c=0.0)
    del hurt.then
    net = wye.When("c > 0.5", nn.Linear(2, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(torch.ones(1, 2), c=1.0).sum().backward()
    optimizer.step()
    assert hurt.paths["passed"].calls == 1
