"""Layers of Keras in modules of torch, on Keras' torch backend, and the other way round; run by `test_mixed.py`.

Each function whose name begins with `case_` is one test. What goes wrong in it is printed by its name, as JSON. The
oracle is the arithmetic of a layer, written out in torch, or the layer's own call with `training=`.
"""

from __future__ import annotations

import copy
import json
import pickle
import sys
import tempfile
import traceback
import warnings
from typing import Any

import keras
import torch
from torch import Tensor, nn

import wye
import wye.keras

layers = keras.layers


def built(layer: Any, features: int = 4) -> Any:
    layer.build((None, features))
    return layer


def tower() -> keras.Sequential:
    return built(keras.Sequential([layers.Dense(8, activation="tanh"), layers.Dropout(0.5), layers.Dense(4)]))


@keras.saving.register_keras_serializable("tests")
class Scaled(layers.Layer):
    """Takes a side input, and says whether it trains."""

    def call(self, x: Any, scale: Any, mask: Any = None, training: Any = None) -> Any:
        return x * scale[:, None] * (1 if training else -1)


class Inside(layers.Layer):
    """Does not take `training=` itself, and holds a layer that does."""

    def __init__(self) -> None:
        super().__init__()
        self.dense, self.drop = layers.Dense(4), layers.Dropout(0.5)

    def build(self, shape: Any) -> None:
        self.dense.build(shape)
        self.built = True

    def call(self, x: Any) -> Any:
        return self.drop(self.dense(x))


def refused(make: Any) -> str:
    try:
        make()
    except wye.WyeError as error:
        return str(error)
    raise AssertionError("it is accepted")


def random_part(module: nn.Module, x: Tensor) -> bool:
    """Whether two calls differ."""
    return not torch.equal(module(x), module(x))


# a layer of Keras in a module of torch


def case_it_trains_as_its_arithmetic_does() -> None:
    layer, head = built(layers.Dense(3, activation="tanh")), nn.Linear(3, 1)
    weights = [torch.tensor(one.numpy(), requires_grad=True) for one in (layer.kernel, layer.bias)]
    twin = copy.deepcopy(head)
    net = wye.Join("head(see(x))", see=layer, head=head)
    assert [name for name, _ in net.named_parameters()] == ["see.kernel", "see.bias", "head.weight", "head.bias"]
    ours = torch.optim.Adam(net.parameters(), lr=0.05)
    theirs = torch.optim.Adam([*weights, *twin.parameters()], lr=0.05)
    for _ in range(20):
        x = torch.randn(8, 4)
        for optimizer, value in ((ours, net(x)), (theirs, twin(torch.tanh(x @ weights[0] + weights[1])))):
            optimizer.zero_grad()
            ((value - x[:, :1]) ** 2).mean().backward()
            optimizer.step()
    for name, wanted in zip(("kernel", "bias"), weights, strict=True):
        assert torch.allclose(net.see.get_parameter(name), wanted, atol=1e-5), name
        assert torch.equal(getattr(layer, name).value, net.see.get_parameter(name)), "the layer shows what it learned"


def case_an_objective_over_two_towers_trains_both() -> None:
    loss = wye.Objective("mse(see(image), read(text))", see=tower(), read=nn.Linear(4, 4))
    before = {name: value.clone() for name, value in loss.named_parameters()}
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.1)
    total, _ = loss(image=torch.randn(6, 4), text=torch.randn(6, 4))
    total.backward()
    optimizer.step()
    assert all(not torch.equal(value, before[name]) for name, value in loss.named_parameters())


def case_training_reaches_dropout_in_every_node() -> None:
    x = torch.randn(32, 4)
    for net in (
        wye.Join("drop(x)", drop=built(layers.Dropout(0.5))),
        wye.Join("deep(x)", deep=tower()),
        wye.Join("own(x)", own=built(Inside())),
        wye.Chain(nn.Linear(4, 4), built(layers.Dropout(0.5))),
        wye.Chain(nn.Linear(4, 4), deep=wye.When("norm(x) > 0", built(layers.Dropout(0.5)))),
        wye.Repeat(built(layers.Dropout(0.5)), 2),
        wye.Switch("round(0 * max(x))", built(layers.GaussianNoise(1.0))),
        nn.Sequential(nn.Linear(4, 4), wye.Chain(built(layers.Dropout(0.5)))),
    ):
        assert random_part(net, x), net
        net.eval()
        assert not random_part(net, x), net
        net.train()
        assert random_part(net, x), net


def case_a_part_alone_may_be_in_eval() -> None:
    net = wye.Join("a(x) + b(x)", a=built(layers.Dropout(0.5)), b=built(layers.BatchNormalization()))
    x = torch.randn(16, 4) + 3
    net.a.eval()
    net.b.eval()
    assert not random_part(net, x)
    assert torch.equal(net.b.moving_mean, torch.zeros(4))


def case_a_formula_may_say_training_itself() -> None:
    net = wye.Join("a(x, training=1)", a=built(layers.Dropout(0.5)))
    assert random_part(net.eval(), torch.ones(32, 4))


def case_averages_of_a_batch_norm_are_written_while_training_only() -> None:
    x = torch.randn(64, 4) * 2 + 3
    net = wye.Chain(built(layers.BatchNormalization(momentum=0.9, epsilon=1e-3)))
    norm = net[0]
    y = net(x)
    mean, var = x.mean(0), x.var(0, unbiased=False)
    assert torch.allclose(y, (x - mean) / (var + 1e-3).sqrt(), atol=1e-5)
    assert torch.allclose(norm.moving_mean, 0.1 * mean, atol=1e-6)
    assert torch.allclose(norm.moving_variance, 0.9 + 0.1 * var, atol=1e-5)
    held = norm.moving_mean.clone()
    y = net.eval()(x)
    assert torch.equal(norm.moving_mean, held)
    assert torch.allclose(y, (x - held) / (norm.moving_variance + 1e-3).sqrt(), atol=1e-5)
    assert {name for name, one in net.named_parameters() if one.requires_grad} == {"0.gamma", "0.beta"}


def case_it_is_saved_and_copied_to_the_bit() -> None:
    x = torch.randn(16, 4)

    def made() -> wye.Join:
        parts = {"see": tower(), "norm": built(layers.BatchNormalization()), "noise": built(layers.GaussianNoise(1.0))}
        return wye.Join("see(norm(x)) + noise(last(x))", **parts, last=nn.Linear(4, 4), own=built(Inside()))

    net, other = made(), made()
    net(x)
    assert list(net.state_dict()) == list(other.state_dict())
    assert not torch.equal(net.eval()(x), other.eval()(x))
    other.load_state_dict(net.state_dict())
    assert torch.equal(net(x), other(x))
    twin = copy.deepcopy(net)
    assert torch.equal(net(x), twin(x))
    for one in (net, twin):
        one.noise.train()
    first = net(x)
    assert torch.equal(first, twin(x)), "the state of the noise is copied, too"
    assert not torch.equal(first, net(x))
    with torch.no_grad():
        twin.see.kernel.zero_()
    assert not torch.equal(net.eval()(x), twin.eval()(x))
    assert float(net.see.kernel.detach().abs().sum()) > 0


def case_it_is_pickled_where_keras_knows_the_class() -> None:
    plain = built(keras.Sequential([layers.Dense(8, activation="tanh"), layers.Dense(4)]))
    net, x = wye.Chain(plain, wye.When("norm(x) > 0", built(layers.GaussianNoise(1.0)))), torch.randn(8, 4)
    net(x)
    again = pickle.loads(pickle.dumps(net))
    assert torch.equal(net(x), again(x))
    assert torch.equal(net.eval()(x), again.eval()(x))


def case_it_moves_with_the_model() -> None:
    net, x = wye.Join("see(x) + last(x)", see=tower(), last=nn.Linear(4, 4)), torch.randn(3, 4)
    plain = net.eval()(x)
    assert all(one.is_meta for one in net.to("meta").state_dict().values())
    assert net(x.to("meta")).is_meta
    double = wye.Join("see(x)", see=tower()).double()
    assert {one.dtype for one in double.parameters()} == {torch.float64}
    assert double.eval()(x.double()).shape == plain.shape


def case_signatures_tell_side_inputs() -> None:
    x, scale = torch.randn(5, 4), torch.rand(5)
    net = wye.Chain(nn.Linear(4, 4), built(Scaled()), deep=wye.When("norm(x) > 0.5", built(Scaled())))
    assert net.wants == {"scale"}
    h = -net[0](x) * scale[:, None]
    wanted = torch.where(h.norm(dim=1, keepdim=True) > 0.5, -h * scale[:, None], h)
    assert torch.allclose(net.eval()(x, scale=scale), wanted, atol=1e-6)
    assert "Scaled(..., scale=...)" in refused(lambda: net(x))
    renamed = wye.Chain(wye.Takes(built(Scaled()), scale="weight"))
    assert torch.equal(renamed(x, weight=scale), x * scale[:, None])
    assert "Scaled has no keyword `sclae`" in refused(lambda: wye.Takes(built(Scaled()), sclae="weight"))


def case_only_samples_taken_reach_it() -> None:
    seen: list[int] = []

    class Counting(layers.Layer):
        def call(self, x: Any) -> Any:
            seen.append(len(x))
            return x + 1

    net = wye.When("sum(x) > 0", built(Counting()))
    x = torch.tensor([[1.0], [-1.0], [2.0]])
    assert net(x).squeeze(1).tolist() == [2.0, -1.0, 3.0]
    assert seen == [2]


def case_a_branch_without_samples_leaves_its_weights_alone() -> None:
    net = wye.When("flag > 0", built(layers.Dense(4)))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for flag in (1.0, -1.0):
        before = {name: value.clone() for name, value in net.named_parameters()}
        optimizer.zero_grad(set_to_none=False)
        x = torch.randn(4, 4, requires_grad=True)
        net(x, flag=torch.full((4,), flag)).sum().backward()
        optimizer.step()
        same = [torch.equal(value, before[name]) for name, value in net.named_parameters()]
        assert same == [flag < 0] * 2, flag


def case_one_layer_in_two_places_is_one_module() -> None:
    dense = built(layers.Dense(4))
    net = wye.Join("a(x) + b(x)", a=dense, b=dense)
    assert net.a is net.b
    assert len(list(net.parameters())) == 2
    twin = copy.deepcopy(net)
    assert twin.a is twin.b


def case_frozen_holds_its_weights_still() -> None:
    see, x = tower(), torch.randn(4, 4, requires_grad=True)
    net = wye.Join("mse(see(a(x)), stop(x))", a=nn.Linear(4, 4), see=wye.frozen(see))
    net(x).backward()
    assert x.grad is not None
    assert [name for name, one in net.named_parameters() if one.grad is not None] == ["a.weight", "a.bias"]


def case_trainable_is_heard() -> None:
    dense = built(layers.Dense(2))
    net = wye.Join("a(x)", a=dense)
    dense.trainable = False
    assert not any(one.requires_grad for one in net.parameters())


def case_a_layer_may_be_assigned_and_may_decide() -> None:
    net = wye.Join("a(x)", a=nn.Linear(4, 2))
    dense = built(layers.Dense(2))
    net.a = dense
    x = torch.randn(3, 4)
    assert torch.allclose(net(x), x @ dense.kernel.value + dense.bias.value)
    when = wye.When(built(layers.Dense(1, kernel_initializer="ones")), "0 * x")
    assert when(torch.tensor([[1.0, 1.0, 1.0, 1.0], [-1.0, 0.0, 0.0, 0.0]])).sum(1).tolist() == [0.0, 0.0]
    chain = wye.Chain(stage=nn.Linear(4, 2))
    chain.stage = dense
    assert torch.equal(chain(x), net(x))


def case_watch_counts_it() -> None:
    net = wye.Chain(see=built(layers.Dense(4)), deep=wye.When("norm(x) > 99", built(layers.Dense(4))))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    seen = wye.watch(net, optimizer)
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.randn(4, 4)).sum().backward()
        optimizer.step()
    assert seen.weights["see.kernel"].nonzero == 3
    assert seen.weights["deep.then.kernel"].none == 3


def case_a_metric_within_a_layer_counts() -> None:
    class Measured(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.mean = keras.metrics.Mean()

        def call(self, x: Any) -> Any:
            self.mean.update_state(x)
            return x

    layer = built(Measured())
    net = wye.Chain(layer)
    for value in (1.0, 2.0):
        net(torch.full((2, 4), value))
    assert float(layer.mean.result()) == 1.5
    assert not net.state_dict()


def case_a_model_may_be_compiled_and_fit_beside() -> None:
    model, x = tower(), torch.ones(4, 4)
    net = wye.Join("see(x)", see=model).eval()
    names = [name for name, _ in net.named_parameters()]
    model.compile("sgd", "mse", metrics=["mae"])
    model.fit(x, 0 * x, verbose=0)
    assert [name for name, _ in net.named_parameters()] == names
    assert torch.equal(net(x), model(x, training=False))


def case_a_graph_of_torch_holds_it() -> None:
    dense, x = built(layers.Dense(4)), torch.randn(3, 4)
    net = wye.Join("a(x) + b(x)", a=dense, b=nn.Linear(4, 4))
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(x), net(x), atol=1e-6)


# what is refused


def case_a_layer_that_is_not_built_is_refused() -> None:
    for make, name, where in (
        (lambda: wye.Join("a(x)", a=layers.Dense(3)), "a", "Join(a=...)"),
        (lambda: wye.Join("a(x)", a=nn.Sequential(layers.Dense(3))), "a", "Join(a=...)"),
        (lambda: wye.Chain(layers.Dense(3)), "layer", "Chain(...)"),
        (lambda: wye.Chain(deep=layers.Dense(3)), "deep", "Chain(deep=...)"),
        (lambda: wye.When("norm(x) > 0", layers.Dense(3)), "then", "When(then=...)"),
        (lambda: wye.When(layers.Dense(1), nn.Linear(4, 4)), "condition", "When(condition=...)"),
        (lambda: wye.frozen(layers.Dense(3)), "module", "frozen(...)"),
        (lambda: setattr(wye.Join("a(x)", a=nn.Linear(4, 3)), "a", layers.Dense(3)), "a", "Join.a = ..."),
    ):
        assert refused(make) == (
            f"`{name}` has no weights yet, which an optimizer could be given.\n"
            f"  in:  {where}\n"
            "  got: Dense, not built\n"
            f"  fix: build it: {name}.build((None, 4)), with its number of features"
        )


def case_a_layer_built_in_part_is_refused_until_it_was_called() -> None:
    class Half(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layers.Dense(2, name="inner")

        def build(self, _: Any) -> None:
            self.built = True

        def call(self, x: Any) -> Any:
            return self.inner(x)

    half = built(Half())
    told = refused(lambda: wye.Join("a(x)", a=half))
    assert "got: Half, in which inner is not built\n  fix: call it once, which builds all of it: a(x)" in told
    half(torch.ones(1, 4))
    assert wye.Join("a(x)", a=half)(torch.ones(3, 4)).shape == (3, 2)


def case_a_layer_that_would_not_hear_of_training_is_refused() -> None:
    inner = nn.Sequential(nn.Linear(4, 4), built(layers.Dropout(0.5)))
    for make in (lambda: wye.Join("a(x)", a=inner), lambda: wye.Chain(a=nn.ModuleDict({"one": inner}))):
        told = refused(make)
        assert told.startswith(
            "`a` holds a layer of Keras in nn.Sequential, which does not tell it of train() and eval()"
        )
        assert told.endswith("fix: write wye.Chain in the place of nn.Sequential")

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = built(layers.Dropout(0.5))

        def forward(self, x: Tensor) -> Tensor:
            return self.drop(x, training=self.training)

    net, x = wye.Join("a(x)", a=Own()), torch.ones(32, 4)
    assert random_part(net, x)
    assert not random_part(net.eval(), x)


# a module of torch in a layer of Keras


def case_a_module_of_torch_is_refused_in_a_layer_with_the_wrapper_as_its_cure() -> None:
    part = refused(lambda: wye.keras.Join("a(x)", a=nn.Linear(4, 3)))
    assert part.endswith("got: Linear\n  fix: wrap it, for Keras on torch: a=keras.layers.TorchModuleWrapper(a)")
    for make in (
        lambda: wye.keras.Chain(nn.Linear(4, 3)),
        lambda: wye.keras.When("norm(x) > 0", nn.Linear(4, 4)),
        lambda: wye.keras.Objective("mean(a(x))", a=wye.Join("2 * x")),
    ):
        assert "TorchModuleWrapper(" in refused(make)


def wrapped(kind: str) -> Any:
    module = keras.layers.TorchModuleWrapper(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)))
    if kind == "Join":
        return wye.keras.Join("a(x) + b(x)", a=module, b=layers.Dense(4))
    return wye.keras.Chain(module, layers.Dense(4))


def case_the_wrapper_trains_hears_of_training_and_is_saved_by_weights() -> None:
    x, label = torch.randn(32, 4), torch.zeros(32, 4)
    for kind in ("Join", "Chain"):
        net = wrapped(kind)
        net(x)
        linear = next(one for one in net.modules() if isinstance(one, nn.Linear))
        before = linear.weight.detach().clone()
        net.compile(keras.optimizers.SGD(0.1), "mse")
        net.fit(x.numpy(), label.numpy(), verbose=0)
        assert not torch.equal(linear.weight, before), kind
        assert torch.equal(net(x, training=False), net(x, training=False)), kind
        assert not torch.equal(net(x, training=True), net(x, training=True)), kind
        other = wrapped(kind)
        other(x)
        assert not torch.equal(other(x, training=False), net(x, training=False)), kind
        with tempfile.TemporaryDirectory() as folder:
            net.save_weights(f"{folder}/net.weights.h5")
            other.load_weights(f"{folder}/net.weights.h5")
        assert torch.equal(other(x, training=False), net(x, training=False)), kind


def main(names: list[str]) -> None:
    warnings.simplefilter("error", UserWarning)
    found: dict[str, str] = {}
    for name in names or [one for one in globals() if one.startswith("case_")]:
        keras.utils.set_random_seed(20)
        try:
            globals()[name]()
        except Exception:
            found[name] = traceback.format_exc()
        else:
            found[name] = ""
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
