"""Classes and functions of the user: registered ones by name, others given back; nothing is looked up by a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wye
from wye.torch.keep import registry


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "CLASSES", {})
    monkeypatch.setattr(registry, "FUNCTIONS", {})


class Plain(nn.Module):
    """A class that nobody registers."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width)
        self.deep = wye.When("norm(x) > 1", nn.Linear(width, width))
        self.register_buffer("scale", torch.rand(width))
        self.register_buffer("angles", torch.arange(width) / 3, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.deep(self.layer(x)) * self.scale + self.angles


def tower() -> type[nn.Module]:
    """A class of its own for each test, whose `__init__` registering changes."""

    class Tower(nn.Module):
        def __init__(self, body: nn.Module, *sizes: int, rate: float = 0.5, kinds: Any = (), **more: Any) -> None:
            super().__init__()
            self.body, self.sizes, self.rate, self.kinds, self.more = body, sizes, rate, kinds, more
            self.layers = nn.ModuleList([nn.Linear(size, size) for size in sizes])
            self.deep = wye.Repeat([nn.Linear(4, 4), nn.Linear(4, 4)], "die(0, 2)")

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = layer(x) * self.rate
            return self.deep(self.body(x))

    return Tower


def same(one: nn.Module, other: nn.Module) -> None:
    x = torch.randn(5, 4)
    assert torch.equal(one(x), other(x))
    assert list(one.state_dict()) == list(other.state_dict())


def test_a_registered_class_is_built_from_what_it_was_built_from(tmp_path: Path) -> None:
    cls = wye.register(tower())
    body = nn.Linear(4, 4)
    model = wye.Chain(body, top=cls(body, 4, 4, rate=0.25, kinds=[(1, 2.5), {"a": None}, "b"], dtype=torch.float64))
    wye.save(model, tmp_path / "a.safetensors")
    again = wye.load(tmp_path / "a.safetensors")
    same(model, again)
    assert type(again.top) is cls
    assert again.top.body is again[0]
    assert (again.top.sizes, again.top.rate, again.top.more) == ((4, 4), 0.25, {"dtype": torch.float64})
    assert again.top.kinds == [(1, 2.5), {"a": None}, "b"]
    wye.save(again, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_what_was_switched_within_a_registered_class_stays_switched(tmp_path: Path) -> None:
    """Its class would build a die anew."""
    cls = wye.register(tower())
    model = cls(nn.Sequential(nn.ReLU()), 4)
    model.deep.times = 1
    model.layers[0] = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 4))
    model.body.append(nn.Tanh())
    wye.save(model, tmp_path / "a.safetensors")
    again = wye.load(tmp_path / "a.safetensors")
    assert again.deep.times == 1
    same(model, again)
    assert repr(again) == repr(model)


def test_a_module_that_is_changed_stays_the_object_that_others_refer_to(tmp_path: Path) -> None:
    class Aliased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.deep = wye.When("norm(x) > 1", nn.Linear(4, 4))
            self.plain = [self.deep]

        def forward(self, x: Tensor) -> Tensor:
            return self.plain[0](x)

    model = wye.register(Aliased)()
    model.deep.condition = "norm(x) < 1"
    wye.save(model, tmp_path / "a.safetensors")
    again = wye.load(tmp_path / "a.safetensors")
    assert again.plain[0] is again.deep
    same(model, again)


def test_a_registered_class_builds_what_only_it_knows(tmp_path: Path) -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.blocks = Plain(), nn.ModuleList([Plain()])

        def forward(self, x: Tensor) -> Tensor:
            return self.blocks[0](self.inner(x))

    model = wye.Chain(outer=wye.register(Outer)(), other=Plain())
    model.outer.inner.deep.condition = "norm(x) < 2"
    wye.save(model, tmp_path / "a.safetensors")
    assert wye.inspect(tmp_path / "a.safetensors").opaque == ["other"]
    again = wye.load(tmp_path / "a.safetensors", parts={"other": Plain()})
    assert str(again.outer.inner.deep.condition) == "norm(x) < 2"
    same(again, model)


def test_a_class_may_say_its_settings_itself(tmp_path: Path) -> None:
    class Grown(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.layer = nn.Linear(4, width)

        def settings(self) -> dict[str, Any]:
            return {"width": self.layer.out_features}

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)

    model = wye.register(Grown)(3)
    model.layer = nn.Linear(4, 7)
    wye.save(model, tmp_path / "a.safetensors")
    same(wye.load(tmp_path / "a.safetensors"), model)


def test_an_argument_that_becomes_a_buffer(tmp_path: Path) -> None:
    class Prior(nn.Module):
        prior: Tensor

        def __init__(self, prior: Tensor) -> None:
            super().__init__()
            self.register_buffer("prior", prior)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.prior

    model = wye.register(Prior)(torch.rand(4)).double().float()
    wye.save(model, tmp_path / "a.safetensors")
    same(wye.load(tmp_path / "a.safetensors"), model)


def test_a_subclass_is_not_its_registered_parent(tmp_path: Path) -> None:
    cls = wye.register(tower())

    class Higher(cls):  # type: ignore[misc, valid-type]
        def forward(self, x: Tensor) -> Tensor:
            return -super().forward(x)

    model = Higher(nn.ReLU(), 4)
    wye.save(model, tmp_path / "a.safetensors")
    assert wye.inspect(tmp_path / "a.safetensors").opaque == [""]
    wye.register(Higher)
    model = Higher(nn.ReLU(), 4)
    wye.save(model, tmp_path / "a.safetensors")
    again = wye.load(tmp_path / "a.safetensors")
    assert type(again) is Higher
    same(again, model)


def test_functions_by_their_names(tmp_path: Path) -> None:
    @wye.register
    def bright(x: Tensor) -> Tensor:
        return x.mean(1) > 0

    @wye.register(name="twice")
    def doubled(x: Tensor) -> Tensor:
        return 2 * x

    model = wye.Chain(doubled, wye.When(bright, doubled), wye.Join("f(x) + g(x)", f=doubled, g=nn.Linear(4, 4)),
                      wye.Join(doubled))  # fmt: skip
    wye.save(model, tmp_path / "a.safetensors")
    again = wye.load(tmp_path / "a.safetensors")
    same(again, model)
    assert again[1].condition is bright
    assert again[0].function is doubled
    registry.FUNCTIONS.pop("twice")
    with pytest.raises(wye.FileError, match="nothing is registered here as `twice`"):
        wye.load(tmp_path / "a.safetensors")


def test_an_opaque_part_is_given_back_and_filled(tmp_path: Path) -> None:
    model = wye.Chain(nn.Linear(4, 4), body=Plain(), last="relu(x)")
    model.body.deep.condition = "norm(x) < 1"
    wye.save(model, tmp_path / "a.safetensors")
    body = Plain()
    weight, angles = body.layer.weight, body.angles
    again = wye.load(tmp_path / "a.safetensors", parts={"body": body})
    assert again.body is body
    assert body.layer.weight is weight
    assert body.angles is angles
    assert str(body.deep.condition) == "norm(x) < 1"
    same(again, model)
    wye.save(again, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_an_optimizer_over_a_given_part_goes_on(tmp_path: Path) -> None:
    model = wye.Chain(body=Plain())
    wye.save(model, tmp_path / "a.safetensors")
    body = Plain()
    optimizer = torch.optim.SGD(body.parameters(), lr=0.1)
    again = wye.load(tmp_path / "a.safetensors", parts={"body": body})
    before = again.body.layer.weight.detach().clone()
    again(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert not torch.equal(again.body.layer.weight, before)


def test_a_whole_model_of_an_unknown_class(tmp_path: Path) -> None:
    model, other = Plain(), Plain()
    wye.save(model, tmp_path / "a.safetensors")
    with pytest.raises(wye.FileError, match="the model is a Plain, which its owner builds"):
        wye.load(tmp_path / "a.safetensors")
    report = wye.load_weights(other, tmp_path / "a.safetensors")
    assert report.whole
    same(model, other)
    third = Plain()
    assert wye.load(tmp_path / "a.safetensors", parts={"": third}) is third
    same(model, third)


def test_a_class_that_is_registered_there_but_not_here(tmp_path: Path) -> None:
    cls = wye.register(tower())
    model = wye.Chain(top=cls(nn.ReLU(), 4))
    wye.save(model, tmp_path / "a.safetensors")
    registry.CLASSES.pop("Tower")
    with pytest.raises(wye.FileError, match="no class is registered here as `Tower`"):
        wye.load(tmp_path / "a.safetensors")
    same(wye.load(tmp_path / "a.safetensors", parts={"top": cls(nn.ReLU(), 4)}), model)


def test_a_given_part_that_is_built_otherwise_is_refused(tmp_path: Path) -> None:
    wye.save(wye.Chain(body=Plain()), tmp_path / "a.safetensors")
    wide, more = Plain(), Plain()
    wide.scale = torch.rand(5)
    more.extra = nn.Linear(2, 2)
    with pytest.raises(wye.FileError, match=r"body\.scale"):
        wye.load(tmp_path / "a.safetensors", parts={"body": wide})
    with pytest.raises(wye.FileError, match=r"the file holds no `body\.extra`"):
        wye.load(tmp_path / "a.safetensors", parts={"body": more})
    with pytest.raises(wye.FileError, match="the file has no part 'bdy'"):
        wye.load(tmp_path / "a.safetensors", parts={"bdy": Plain()})


def test_registering_again_in_a_notebook(tmp_path: Path) -> None:
    first, second = wye.register(tower()), wye.register(tower())
    assert registry.CLASSES["Tower"] is second
    assert first is not second

    class Other(nn.Module):
        pass

    with pytest.raises(wye.PartError, match="the name `Tower` is registered already"):
        wye.register(Other, name="Tower")


@pytest.mark.parametrize("target", [4, lambda x: x, len, torch.zeros(2), int])
def test_what_cannot_be_registered(target: Any) -> None:
    with pytest.raises(wye.PartError, match="only classes of modules and functions have names"):
        wye.register(target)
