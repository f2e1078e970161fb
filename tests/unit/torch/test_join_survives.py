"""A Join is a module like any other: moved, copied, saved, loaded and sent away it computes the same."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import wye
from tests.unit.torch.plain import GAIN, assert_same, built, by_hand, data, linear, tensor


def moved() -> wye.Join:
    """A Join whose number and schedule are no longer as they were built."""
    join = built()
    join.gain = 0.7000000000000001
    join.advance()
    return join


def moved_by_hand() -> nn.Module:
    plain = by_hand()
    plain.gain, plain.warm = 0.7000000000000001, 0.25
    return plain


def test_it_equals_the_module_written_by_hand() -> None:
    assert_same(built(), by_hand())
    assert_same(moved(), moved_by_hand())


def test_its_keys_are_those_of_its_parts() -> None:
    join = built()
    assert [name for name, _ in join.named_parameters()] == ["scale", "a.weight", "a.bias", "b.weight", "b.bias"]
    assert {name for name, _ in join.named_buffers()} == {"shift", "gain", "warm", "step"}
    assert list(join.state_dict()) == "scale shift gain warm step a.weight a.bias b.weight b.bias".split()
    assert [name for name, _ in join.named_children()] == ["a", "b"]


# dtypes and devices


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_another_dtype(dtype: torch.dtype) -> None:
    assert_same(moved().to(dtype), moved_by_hand().to(dtype), data().to(dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_numbers_whole(dtype: torch.dtype) -> None:
    join = moved().to(dtype)
    assert join.gain == 0.7000000000000001
    assert join.get_parameter("scale").dtype == dtype
    assert join.state_dict()["gain"].dtype == torch.float64
    assert join.state_dict()["gain"].item() == 0.7000000000000001
    assert_same(join, moved_by_hand().to(dtype), data().to(dtype), rtol=1e-2, atol=1e-2)
    assert join.half().double().gain == 0.7000000000000001


def test_the_meta_device_and_back() -> None:
    source = moved()
    join = moved().to("meta")
    assert join(data().to("meta")).device.type == "meta"
    join.to_empty(device="cpu")
    assert (join.gain, join.warm, join.state_dict()["step"].item()) == (0.7000000000000001, 0.25, 1)
    join.load_state_dict(source.state_dict())
    assert_same(join, moved_by_hand())


@pytest.mark.parametrize("assign", [False, True])
def test_built_on_the_meta_device(assign: bool) -> None:
    with torch.device("meta"):
        join = wye.Join("gain * a(x) * warm", a=nn.Linear(4, 3), gain=0.5, warm=wye.Schedule("step"))
    source = wye.Join("gain * a(x) * warm", a=nn.Linear(4, 3), gain=0.25, warm=wye.Schedule("step"))
    source.advance()
    if not assign:
        join.to_empty(device="cpu")
    join.load_state_dict(source.state_dict(), assign=assign)
    assert (join.gain, join.warm) == (0.25, 1)
    assert {buffer.device.type for buffer in join.buffers()} == {"cpu"}
    assert_same(join, source, torch.ones(2, 4))


def test_apply_train_and_eval_reach_the_parts() -> None:
    join = wye.Join("a(x) + b(x)", a=nn.Sequential(nn.Linear(4, 3), nn.Dropout()), b=nn.Linear(4, 3))
    plain = copy.deepcopy(nn.ModuleDict({"a": join.a, "b": join.b}))
    x = torch.randn(2, 4)
    assert not join.eval().a[1].training
    assert_close(join(x), plain["a"][0](x) + plain["b"](x))
    assert join.train().a[1].training
    seen: list[str] = []
    join.apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "Dropout", "Sequential", "Linear", "Join"]


# copies and files


def test_a_deep_copy_is_independent() -> None:
    join = moved()
    twin = copy.deepcopy(join)
    join.gain, join.formula = 5.0, "a(x) * gain"
    join.advance()
    with torch.no_grad():
        join.get_parameter("scale").zero_()
    assert (twin.gain, twin.warm, str(twin.formula)) == (0.7000000000000001, 0.25, str(built().formula))
    assert_same(twin, moved_by_hand())
    twin.gain = -1.0
    assert join.gain == 5.0
    assert_close(join(data()), join.a(data()) * 5)


def test_pickle() -> None:
    assert_same(pickle.loads(pickle.dumps(moved())), moved_by_hand())


def test_the_whole_module_saved_by_torch() -> None:
    file = io.BytesIO()
    torch.save(moved(), file)
    file.seek(0)
    assert_same(torch.load(file, weights_only=False), moved_by_hand())


def compute(place: int, join: nn.Module, x: Tensor, path: str) -> None:
    torch.save(join(x), path)


def test_another_process_computes_the_same(tmp_path: Path) -> None:
    join, path = moved(), str(tmp_path / "value.pt")
    torch.multiprocessing.spawn(compute, (join, data(), path), nprocs=1)
    assert_close(torch.load(path), moved_by_hand()(data()))


@pytest.mark.parametrize("assign", [False, True])
def test_a_state_dict_carries_numbers_and_steps(assign: bool) -> None:
    state = moved().state_dict()
    join = built()
    assert (join.gain, join.warm) == (GAIN, 0)
    with torch.no_grad():
        join.get_parameter("scale").fill_(9.0)
    assert not any(join.load_state_dict(copy.deepcopy(state), strict=True, assign=assign))
    assert (join.gain, join.warm) == (0.7000000000000001, 0.25)
    assert_same(join, moved_by_hand())
    join.advance()
    assert join.warm == 0.5


def test_a_state_dict_through_a_safe_file_and_inside_a_parent() -> None:
    file = io.BytesIO()
    torch.save(nn.Sequential(nn.Identity(), moved()).state_dict(), file)
    file.seek(0)
    parent = nn.Sequential(nn.Identity(), built())
    parent.load_state_dict(torch.load(file))
    assert_same(parent[1], moved_by_hand())


@pytest.mark.parametrize(
    ("old", "saved", "loaded"),
    [(1, 0.5, 0.5), (1, 3, 3), (1.0, 3, 3.0), (True, False, False), (1, float("inf"), float("inf")), (0, -2.5, -2.5)],
)
def test_a_loaded_number_is_the_saved_one(old: float, saved: float, loaded: float) -> None:
    source, join = wye.Join("gain * x", gain=saved), wye.Join("gain * x", gain=old)
    join.load_state_dict(source.state_dict())
    assert join.gain == loaded
    assert type(join.gain) is type(loaded)
    assert join(torch.ones(1)).item() == float(loaded)


def test_a_partial_state_keeps_what_it_lacks() -> None:
    join, state = moved(), built().state_dict()
    for name in ("gain", "warm", "step"):
        del state[name]
    with pytest.raises(RuntimeError, match="gain"):
        join.load_state_dict(state)
    missing = join.load_state_dict(state, strict=False).missing_keys
    assert sorted(missing) == ["gain", "step", "warm"]
    assert_same(join, moved_by_hand())


def test_a_number_of_the_wrong_shape_is_refused_and_kept() -> None:
    join = built()
    state = {**join.state_dict(), "gain": torch.ones(3)}
    with pytest.raises(RuntimeError, match="size mismatch for gain"):
        join.load_state_dict(state)
    assert join.gain == GAIN


# one inside another


def test_a_join_in_a_join() -> None:
    outer, plain = wye.Join("inner(x) * share + c(x)", inner=moved(), share=0.5, c=linear(7)), moved_by_hand()
    x, twin = data(), pickle.loads(pickle.dumps(outer))
    wanted = plain(x) * 0.5 + outer.c(x)
    assert_close(outer(x), wanted)
    assert_close(twin(x), wanted)
    outer.inner.gain = 0.0
    assert_close(twin(x), wanted)
    plain.gain = 0.0
    assert_close(outer(x), plain(x) * 0.5 + outer.c(x))
    assert "inner.gain" in outer.state_dict()


def test_shared_parts_stay_shared() -> None:
    shared, weight = nn.Linear(3, 3).double(), nn.Parameter(tensor(8, 3))
    inner = wye.Join("c(x) * v", c=shared, v=weight)
    join = wye.Join("a(x) * b(w) + inner(x)", a=shared, b=shared, w=weight, inner=inner)
    x = tensor(9, 2, 3)
    for one in (join, copy.deepcopy(join), pickle.loads(pickle.dumps(join))):
        assert one.a is one.b is one.inner.c
        assert one.w is one.inner.v
        assert [name for name, _ in one.named_parameters()] == ["w", "a.weight", "a.bias"]
        layer, w = copy.deepcopy(shared), weight.detach().clone().requires_grad_()
        wanted = layer(x) * layer(w) + layer(x) * w
        assert_close(one(x), wanted)
        wanted.sum().backward()
        one(x).sum().backward()
        assert_close(one.a.weight.grad, layer.weight.grad)
        assert_close(one.w.grad, w.grad)
