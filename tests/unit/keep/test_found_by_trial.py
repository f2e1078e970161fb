"""What a trial of odd models brought to light, each held here."""

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


def line() -> nn.Linear:
    return nn.Linear(4, 4)


def kept(model: nn.Module, folder: Path, **parts: Any) -> Any:
    wye.save(model, folder / "model.safetensors")
    return wye.load(folder / "model.safetensors", parts=parts)


def test_a_node_that_took_the_state_of_the_file_can_still_be_switched(tmp_path: Path) -> None:
    @wye.register
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate = wye.When("norm(x) > bound", line(), bound=0.0)

        def forward(self, x: Tensor) -> Tensor:
            return self.gate(x)

    model, x = Gated(), torch.randn(6, 4)
    model.gate.bound = 0.5
    again = kept(model, tmp_path)
    again.gate.bound = model.gate.bound = 1e6
    assert torch.equal(again(x), x)
    assert torch.equal(model(x), x)


def test_classes_derived_from_ours_keep_what_was_assigned(tmp_path: Path) -> None:
    class Mine(wye.Join):
        def __init__(self, gain: float = 0.5) -> None:
            super().__init__("gain * a(x) + t", a=line(), gain=gain, t=wye.Schedule("step / 2"))

    class Gate(wye.When):
        def __init__(self) -> None:
            super().__init__("norm(x) > 1", line())

    for cls in (Mine, Gate):
        wye.register(cls)
    model = wye.Chain(mine=Mine(), gate=Gate())
    model.mine.gain, model.mine.formula, model.gate.condition = 3.0, "a(x) - gain + t", "norm(x) < 1"
    model.advance()
    again, x = kept(model, tmp_path), torch.randn(6, 4)
    assert (again.mine.gain, again.mine.t, str(again.gate.condition)) == (3.0, 0.5, "norm(x) < 1")
    assert torch.equal(again(x), model(x))
    registry.CLASSES.clear()
    given = {"mine": Mine(), "gate": Gate()}
    wye.save(model, tmp_path / "opaque.safetensors")
    assert torch.equal(wye.load(tmp_path / "opaque.safetensors", parts=given)(x), model(x))


def test_a_schedule_is_not_the_number_of_a_file(tmp_path: Path) -> None:
    wye.save(wye.Join("x * beta", beta=7.0), tmp_path / "a.safetensors")
    join = wye.Join("x * beta", beta=wye.Schedule("step + 1"))
    wye.load_weights(join, tmp_path / "a.safetensors", strict=False)
    assert join.beta == float(join.state_dict()["beta"]) == 1.0


def test_a_parameter_in_the_place_of_a_buffer_trains_on(tmp_path: Path) -> None:
    join = wye.Join("x * w", w=torch.ones(4))
    join.w = nn.Parameter(2 * torch.ones(4))
    assert [tuple(one.shape) for one in kept(join, tmp_path).parameters()] == [(4,)]


def test_one_weight_does_not_take_two(tmp_path: Path) -> None:
    wye.save(nn.Sequential(line(), line()), tmp_path / "a.safetensors")
    one = line()
    for shared in (nn.Sequential(one, one), nn.Sequential(one, line())):
        if shared[1] is not one:
            shared[1].weight = one.weight
        with pytest.raises(wye.FileError, match="what is one weight in the model is two in the file"):
            wye.load_weights(shared, tmp_path / "a.safetensors")


def test_the_order_of_modules_is_that_of_the_file(tmp_path: Path) -> None:
    @wye.register
    class Ordered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleDict({"a": line(), "b": nn.Sequential(nn.Tanh(), line())})

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers.values():
                x = layer(x)
            return x

    model, x = Ordered(), torch.randn(3, 4)
    model.layers["a"] = model.layers.pop("a")
    assert torch.equal(kept(model, tmp_path)(x), model(x))


@pytest.mark.parametrize("make", [line, lambda: wye.When("norm(x) > 1", line()), lambda: wye.Join("a(x)", a=line())])
def test_a_forward_that_was_put_in_is_refused(make: Any, tmp_path: Path) -> None:
    model = make()
    model.forward = lambda x: 0 * x
    with pytest.raises(wye.PartError, match="another forward"):
        wye.save(model, tmp_path / "a.safetensors")


def test_arguments_are_as_they_were_given(tmp_path: Path) -> None:
    @wye.register
    class Popping(nn.Module):
        def __init__(self, config: dict[str, Any], act: type[nn.Module], mean: Tensor, size: torch.Size) -> None:
            super().__init__()
            self.layer, self.act = nn.Linear(4, config["inner"].pop("width")), act()
            self.register_buffer("mean", mean)
            self.register_buffer("inverse", 1 / mean, persistent=False)
            self.scale = float(mean.sum())

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.layer(x)) * self.inverse * self.scale

    model, x = Popping({"inner": {"width": 3}}, nn.GELU, torch.rand(3) + 1, torch.zeros(2, 3).shape), torch.randn(2, 4)
    assert torch.equal(kept(model, tmp_path)(x), model(x))


def test_a_module_by_a_path_that_is_shared(tmp_path: Path) -> None:
    @wye.register
    class Around(nn.Module):
        def __init__(self, layer: nn.Module) -> None:
            super().__init__()
            self.seq = nn.Sequential(layer, nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            return self.seq(x)

    around, x = Around(line()), torch.randn(2, 4)
    model = nn.Sequential(around.seq, around)
    again = kept(model, tmp_path)
    assert again[0] is again[1].seq
    assert torch.equal(again(x), model(x))


def test_weights_of_whole_numbers(tmp_path: Path) -> None:
    layer = line()
    layer.weight = nn.Parameter(torch.ones(4, 4, dtype=torch.int8), requires_grad=False)
    assert kept(layer, tmp_path).weight.dtype is torch.int8


def test_what_no_file_could_give_back_is_refused_at_once(tmp_path: Path) -> None:
    deep: nn.Module = line()
    for _ in range(120):
        deep = nn.Sequential(deep)
    hooked = line()
    hooked.register_state_dict_post_hook(lambda _, state, prefix, __: state.update(odd=state.pop(f"{prefix}weight")))
    for model, told in (
        (deep, "stand within one another"),
        (hooked, "a key that is no tensor's"),
        (wye.Chain(body=torch.compile(line())), "a compiled module stands within"),
    ):
        with pytest.raises(wye.PartError, match=told):
            wye.save(model, tmp_path / "a.safetensors")


def test_transformers_with_other_parts(tmp_path: Path) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    layer.dropout, layer.norm1, layer.linear1 = nn.Identity(), nn.Identity(), nn.Sequential(nn.Linear(8, 16))
    again = kept(layer, tmp_path)
    assert repr(again) == repr(layer)
    assert again.state_dict().keys() == layer.state_dict().keys()


def test_numbers_from_buffers_of_whole_numbers(tmp_path: Path) -> None:
    wye.save(wye.Join("x * g", g=torch.tensor(3)), tmp_path / "a.safetensors")
    join = wye.Join("x * g", g=1)
    wye.load_weights(join, tmp_path / "a.safetensors")
    assert join.g == float(join.state_dict()["g"]) == 3


def test_where_the_caller_is_does_not_matter(tmp_path: Path) -> None:
    model = wye.Repeat([line()], "die(0, 1)")
    wye.save(model, tmp_path / "a.safetensors")
    with torch.device("meta"):
        assert wye.load(tmp_path / "a.safetensors").get_submodule("0").weight.device.type == "cpu"
    with torch.inference_mode():
        again = wye.load(tmp_path / "a.safetensors")
    again.times = 1
    again(torch.ones(1, 4)).sum().backward()


def test_what_is_no_part_and_no_model(tmp_path: Path) -> None:
    class Own(nn.Module):
        pass

    wye.save(wye.Chain(body=Own()), tmp_path / "a.safetensors")
    for part in (3, Own):
        with pytest.raises(wye.WyeError, match=r"is no module|only its owner|an instance|is a class"):
            wye.load(tmp_path / "a.safetensors", parts={"body": part})
    with pytest.raises(wye.InputError, match="a file holds a module"):
        wye.load_weights({"a": torch.ones(1)}, tmp_path / "a.safetensors")  # type: ignore[arg-type]
    for cls in (nn.Linear, wye.Join):
        with pytest.raises(wye.PartError):
            wye.register(cls, name="theirs")


def test_an_expanded_tensor_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    wye.save(wye.Join("a(x) + m", a=line(), m=torch.rand(4)), tmp_path / "a.safetensors")
    model = wye.Join("a(x) + m", a=line(), m=torch.zeros(()).expand(4))
    before = model.a.weight.detach().clone()
    with pytest.raises(wye.InputError, match="one number many times"):
        wye.load_weights(model, tmp_path / "a.safetensors")
    assert torch.equal(model.a.weight, before)


def test_only_files_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="only a file is replaced"):
        wye.save(line(), tmp_path / "folder")
    wye.save(line(), tmp_path / ("\N{GRINNING FACE}" * 63))


def test_who_reads_what_is_true(tmp_path: Path) -> None:
    @wye.register
    class Posing(nn.Module):
        def __init__(self, formula: str, parts: dict[str, nn.Module]) -> None:
            super().__init__()
            self.a = parts["a"]

    chain = wye.Chain(posing=Posing("x * 2", {"a": line()}), gate=wye.When("norm(x) > 1", line()))
    chain.gate.hung = line()
    chain.hung = line()
    wye.save(chain, tmp_path / "a.safetensors")
    held = wye.inspect(tmp_path / "a.safetensors").tensors
    assert held["posing.a.weight"].read_by == "posing, as Posing runs it"
    assert held["gate.hung.weight"].read_by == "nobody: When norm(x) > 1 does not call hung"
    assert held["hung.weight"].read_by == "nobody: Chain does not call hung"


def test_a_frozen_module_within_a_frozen_one_keeps_its_weights() -> None:
    layer = line()
    held = wye.frozen(wye.Chain(layer, wye.frozen(layer)))
    x = torch.ones(1, 4, requires_grad=True)
    held(x).sum().backward()
    assert isinstance(layer.weight, nn.Parameter)
    assert layer.weight.requires_grad
    assert layer.weight.grad is None
    assert x.grad is not None
