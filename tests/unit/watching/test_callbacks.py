"""Callbacks: a fit of Lightning is told like a loop of one's own, to the same bits; and steps told by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import wye
from wye.errors import InputError
from wye.watching import callbacks


def assert_told(seen: Any, net: Any) -> None:
    """The account is what the module logged itself."""
    for name, counts in net.log_of.items():
        weight = seen.weights[name]
        assert (weight.none, weight.zero, weight.nonzero) == (counts["none"], counts["zero"], counts["nonzero"]), name
    deep = seen.modules["deep"]
    assert (deep.calls, deep.samples) == (net.deep_calls, net.deep_samples)
    assert seen.modules["first"].calls == net.calls
    assert 0 < net.deep_calls < net.calls  # the branch goes both ways, else nothing is shown


class TestLightning:
    @pytest.mark.parametrize("accumulated", [1, 4])
    def test_a_fit_is_told_as_its_module_logged_it(self, accumulated: int) -> None:
        from tests.unit.watching.lightning_nets import Forked, batches, trainer

        net = Forked()
        with wye.watch(net) as seen:
            trainer([seen.callback("lightning")], accumulate_grad_batches=accumulated).fit(net, batches())
        assert seen.steps == 24 // accumulated
        assert_told(seen, net)
        if accumulated == 1:
            assert seen.weights["deep.weight"].reasons == {"`deep` did not run": 24 - net.deep_calls}
        assert seen.weights["last.weight"].moved
        assert seen.weights["last.weight"].written == 0

    def test_two_optimizers_by_hand_are_told_apart(self) -> None:
        from tests.unit.watching.lightning_nets import TwoOptimizers, batches, trainer

        net = TwoOptimizers()
        with wye.watch(net) as seen:
            trainer([seen.callback("lightning")]).fit(net, batches())
        assert (seen.weights["first.weight"].steps, seen.weights["last.weight"].steps) == (24, 8)
        assert_told(seen, net)

    def test_a_module_without_an_optimizer_makes_a_step_a_batch(self, recwarn: Any) -> None:
        from tests.unit.watching.lightning_nets import ByHand, batches, trainer

        net = ByHand()
        with wye.watch(net) as seen, pytest.warns(UserWarning, match="returned `None`, this fit will run"):
            trainer([seen.callback("lightning")]).fit(net, batches())
        assert seen.steps == 24
        assert_told(seen, net)
        weight = seen.weights["deep.weight"]
        assert weight.reasons == {"`deep` did not run": 24 - net.deep_calls}
        assert (weight.moved, weight.by_gradient, weight.moved_without, weight.written) == (None, None, 0, 0)

    @pytest.mark.parametrize("kind", ["Forked", "TwoOptimizers"])
    def test_the_bits_are_the_same(self, kind: str) -> None:
        from tests.unit.watching import lightning_nets

        ends = []
        for watched in (False, True):
            torch.manual_seed(7)
            net = getattr(lightning_nets, kind)()
            seen = wye.watch(net, every=3) if watched else None
            lightning_nets.trainer([seen.callback("lightning")] if seen else []).fit(net, lightning_nets.batches())
            ends.append(([weight.detach().clone() for weight in net.parameters()], torch.get_rng_state()))
            if seen:
                seen.stop()
        assert all(map(torch.equal, ends[0][0], ends[1][0]))
        assert torch.equal(ends[0][1], ends[1][1])

    def test_batches_between_steps_that_no_hook_tells_of_are_no_steps(self) -> None:
        from tests.unit.watching.lightning_nets import Forked, batches, trainer

        class Own:
            """An optimizer that is none of torch's, which Lightning takes too."""

            def __init__(self, weights: list[nn.Parameter]) -> None:
                self.param_groups, self.defaults, self.state = [{"params": weights, "lr": 0.1}], {}, {}

            def step(self, closure: Any = None) -> Any:
                loss = closure()
                with torch.no_grad():
                    for weight in self.param_groups[0]["params"]:
                        if weight.grad is not None:
                            weight -= 0.1 * weight.grad
                return loss

            def zero_grad(self) -> None:
                for weight in self.param_groups[0]["params"]:
                    weight.grad = None

            def state_dict(self) -> dict[str, Any]:
                return {}

            def load_state_dict(self, state: Any) -> None: ...

        class Net(Forked):
            def configure_optimizers(self) -> Any:
                return Own(list(self.parameters()))

        net = Net()
        with wye.watch(net) as seen:
            trainer([seen.callback("lightning")], accumulate_grad_batches=3).fit(net, batches())
        assert seen.steps == 8
        assert_told(seen, net)

    def test_the_watch_outlives_the_fit(self) -> None:
        from tests.unit.watching.lightning_nets import Forked, batches, trainer

        net = Forked()
        seen = wye.watch(net)
        for fit in (1, 2):
            trainer([seen.callback("lightning")]).fit(net, batches())
            assert seen.weights["first.weight"].steps == 24 * fit
        seen.stop()


def test_a_step_by_hand_counts_only_where_no_optimizer_tells() -> None:
    net = nn.Linear(2, 1)
    given = wye.watch(net, torch.optim.SGD(net.parameters(), lr=0.1))
    free = wye.watch(net)
    net(torch.ones(1, 2)).sum().backward()
    given.step()
    free.step()
    assert (given.steps, free.steps) == (0, 1)
    torch.optim.SGD(net.parameters(), lr=0.1).step()
    for _ in range(3):  # as batches that are accumulated, or whose step AMP left out
        free.step()
    assert free.steps == 1
    assert free.weights["weight"].steps == 2
    given.stop()
    free.stop()


def test_what_is_written_into_while_it_has_no_gradient_is_told() -> None:
    net = nn.Linear(2, 1)
    with wye.watch(net) as seen:
        net(torch.ones(1, 2)).sum().backward()
        net.bias.grad = None
        with torch.no_grad():
            for weight in net.parameters():
                weight -= 0.1
        seen.step()
    assert (seen.weights["weight"].written, seen.weights["bias"].written) == (0, 1)


def test_another_framework_is_refused() -> None:
    with wye.watch(nn.Linear(1, 1)) as seen, pytest.raises(InputError) as caught:
        seen.callback("fastai")
    assert str(caught.value) == (
        "there is no callback for this framework.\n"
        "  in:  callback(...)\n"
        "  got: 'fastai'\n"
        '  fix: callback("lightning") or callback("keras")'
    )


def test_a_framework_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(callbacks.PACKAGES, "lightning", ("no_such_package.pytorch", "no_such_package_either"))
    with wye.watch(nn.Linear(1, 1)) as seen, pytest.raises(InputError) as caught:
        seen.callback("lightning")
    assert str(caught.value) == (
        "the framework of this callback is not installed.\n"
        '  in:  callback("lightning")\n'
        "  got: nothing to import\n"
        "  fix: pip install lightning"
    )


def test_optimizers_that_follow_one_another_are_not_taken_for_one() -> None:
    """As in fit after fit: each makes an optimizer, and the next may lie where the last one lay."""
    net = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    with wye.watch(net) as seen:
        for turn in range(20):
            optimizer = torch.optim.SGD(net[turn % 2].parameters(), lr=0.1)
            net[turn % 2](torch.ones(1, 2)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            del optimizer
    assert {name: (one.steps, one.nonzero) for name, one in seen.weights.items()} == dict.fromkeys(
        ("0.weight", "0.bias", "1.weight", "1.bias"), (10, 10)
    )
