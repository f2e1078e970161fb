"""The backward of `part` writes in place only into a gradient that nobody else holds.

Each test lets somebody hold the gradient that comes to `splice`, in one way; what is held must stay as it was, and the
gradient of x must be right. That the gradient is indeed written into where it is alone, is a test too.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import wye
from wye.torch import routing

ROWS = [4, 0, 3]
INDEX = torch.tensor(ROWS)


def data(seed: int = 0, *shape: int) -> Tensor:
    return torch.randn(shape or (5, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def routed(x: Tensor) -> Tensor:
    """The rows of INDEX times 7, the others as they are."""
    taken, rest = routing.part(x, INDEX)
    return routing.splice(rest, INDEX, taken * 7)


def way_back(grad: Tensor | np.ndarray) -> np.ndarray:
    """The gradient of x, of that of the result."""
    out = grad.numpy().copy() if isinstance(grad, Tensor) else grad.copy()
    out[ROWS] *= 7
    return out


class Passes(Function):
    """The value as it is; the gradient too, and it is seen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, seen: list[Any], of: Callable[[Tensor], Any]) -> Tensor:
        ctx.seen, ctx.of = seen, of
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        ctx.seen.append(ctx.of(grads[0]))
        return grads[0], None, None


def pointers(after: Callable[[Tensor], Tensor] = lambda y: y) -> tuple[int, int]:
    """Where the gradient lies that comes to `splice`, and where the one that `part` hands on."""
    seen: list[int] = []
    x = data().requires_grad_()
    y = Passes.apply(routed(Passes.apply(x, seen, Tensor.data_ptr)), seen, Tensor.data_ptr)
    (after(y) * 2).sum().backward()
    assert x.grad is not None
    return seen[0], seen[1]


def test_a_gradient_that_is_alone_is_written_into() -> None:
    came, went = pointers()
    assert came == went


def test_a_debugger_makes_nobody_write_into_what_is_kept() -> None:
    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        assert frame.f_locals is not None  # as a debugger does; it keeps what it has seen
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for keep in (lambda g, kept: kept.append(g), lambda g, kept: kept.extend((g, g))):
            assert_kept(keep)
    finally:
        sys.settrace(before)


def test_a_capture_in_between_changes_nothing() -> None:
    """Once Dynamo has been at work, Python calls functions another way and counts other names."""
    compiled = torch.compile(lambda x: x * 2, backend="eager")
    compiled(torch.ones(2))
    test_a_gradient_that_is_alone_is_written_into()
    for keep in (lambda g, kept: kept.append(g), lambda g, kept: kept.extend((g, g))):
        assert_kept(keep)


# whoever holds it


def assert_kept(keep: Callable[[Tensor, list[Any]], Any]) -> None:
    """What a hook keeps of the gradient of the result stays."""
    kept: list[Any] = []
    x, weight = data().requires_grad_(), data(1)
    y = routed(x * 1)
    y.register_hook(lambda grad: keep(grad, kept))
    (y * weight).sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), way_back(weight))
    assert kept
    for one in kept:
        if isinstance(one, torch.UntypedStorage):
            one = torch.empty(0, dtype=torch.float64).set_(one)  # type: ignore[call-overload]
        number = (one.detach().numpy() if isinstance(one, Tensor) else np.asarray(one)).reshape(-1)
        np.testing.assert_array_equal(number, weight.numpy().reshape(-1)[: number.size])


KEPT: dict[str, Callable[[Tensor, list[Any]], Any]] = {
    "itself": lambda g, kept: kept.append(g),
    "its storage": lambda g, kept: kept.append(g.untyped_storage()),
    "a view": lambda g, kept: kept.append(g.view(-1)),
    "some rows": lambda g, kept: kept.append(g[:2]),
    "detached": lambda g, kept: kept.append(g.detach()),
    "its data": lambda g, kept: kept.append(g.data),
    "as an array": lambda g, kept: kept.append(g.numpy()),
    "by DLPack": lambda g, kept: kept.append(np.from_dlpack(g)),
    "as a memoryview": lambda g, kept: kept.append(memoryview(g.numpy())),
    "within a Parameter": lambda g, kept: kept.append(nn.Parameter(g)),
    "within a closure": lambda g, kept: kept.append((lambda: g).__closure__[0].cell_contents),  # type: ignore[index]
}


@pytest.mark.parametrize("keep", KEPT.values(), ids=KEPT)
def test_what_a_hook_keeps_stays(keep: Callable[[Tensor, list[Any]], Any]) -> None:
    assert_kept(keep)


@pytest.mark.parametrize("owner", ["tensor", "array", "buffer", "shared", "view of more", "expanded", "overlapping"])
def test_the_gradient_that_a_user_gives_stays(owner: str, tmp_path: Path) -> None:
    array = data(1).numpy().copy()
    base = torch.from_numpy(array)
    given = {
        "tensor": lambda: data(1),
        "array": lambda: torch.from_numpy(array),
        "buffer": lambda: torch.frombuffer(bytearray(array.tobytes()), dtype=torch.float64).reshape(5, 3),
        "shared": lambda: base.clone().share_memory_(),
        "view of more": lambda: torch.cat([base, base])[5:],
        "expanded": lambda: data(1, 1, 3).expand(5, 3),
        "overlapping": lambda: data(1, 7).as_strided((5, 3), (1, 1)),
    }[owner]()
    before = given.clone()
    x = data().requires_grad_()
    routed(x * 1).backward(given)
    assert torch.equal(given, before)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), way_back(before))


class Gives(Function):
    """A function whose backward gives a tensor that is somebody's, and drops its own name of it."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, saved: Tensor, make: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(saved)
        ctx.make = make
        return y.sum()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return ctx.make(ctx.saved_tensors[0]), None, None


def test_memory_of_others_stays_though_nobody_names_the_tensor(tmp_path: Path) -> None:
    array = data(1).numpy().copy()
    np.save(tmp_path / "grad.npy", array)
    path = str(tmp_path / "grad.bin")
    array.tofile(path)
    shared = torch.from_numpy(array.copy()).share_memory_()
    ways: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[], np.ndarray]]] = {
        "saved": (lambda saved: saved, lambda: saved.numpy()),
        "array": (lambda saved: torch.from_numpy(array), lambda: array),
        "DLPack": (lambda saved: torch.from_dlpack(array), lambda: array),
        "file": (lambda saved: mapped(path), lambda: np.fromfile(path).reshape(5, 3)),
        "another process": (lambda saved: again(shared), lambda: shared.numpy()),
    }
    for name, (make, look) in ways.items():
        saved, x = data(1), data().requires_grad_()
        for _ in range(2):
            x.grad = None
            Gives.apply(routed(x * 1), saved, make).backward()
            assert_close(look(), data(1).numpy(), msg=lambda text, name=name: f"{name}: {text}", rtol=0, atol=0)
            assert x.grad is not None
            np.testing.assert_allclose(x.grad.numpy(), way_back(data(1)))


def mapped(path: str) -> Tensor:
    return torch.from_file(path, shared=True, size=15, dtype=torch.float64).reshape(5, 3)


def again(shared: Tensor) -> Tensor:
    """The same shared memory, opened once more, as another process does."""
    handle = shared.untyped_storage()._share_filename_cpu_()
    opened = torch.UntypedStorage._new_shared_filename_cpu(*handle)
    return torch.empty(0, dtype=torch.float64).set_(opened, 0, (5, 3))  # type: ignore[call-overload]


# whoever else the graph leads to


def test_retained_and_asked_for_gradients_stay() -> None:
    weight = data(1)
    x = data().requires_grad_()
    middle = x * 1
    y = routed(middle)
    y.retain_grad()
    (y * weight).sum().backward()
    assert y.grad is not None
    assert torch.equal(y.grad, weight)
    x = data().requires_grad_()
    middle = x * 1
    y = routed(middle)
    of_y, of_x, of_middle = torch.autograd.grad((y * weight).sum(), [y, x, middle])
    assert torch.equal(of_y, weight)
    np.testing.assert_allclose(of_x.numpy(), way_back(weight))
    np.testing.assert_allclose(of_middle.numpy(), way_back(weight))


def test_a_gradient_of_one_number_spread_over_all_rows() -> None:
    for reduce, each in ((Tensor.sum, 1.0), (Tensor.mean, 1 / 15), (lambda y: y.sum(0).mean(), 1 / 3)):
        x = data().requires_grad_()
        reduce(routed(x * 1)).backward()
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), way_back(np.full((5, 3), each)))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("other", ["leaf", "input", "both routed", "view", "in place"])
def test_a_gradient_that_goes_two_ways(first: bool, other: str) -> None:
    x, leaf, weight = data().requires_grad_(), data(2).requires_grad_(), data(1)
    h = x * 1
    y = routed(h)
    side = {
        "leaf": lambda: leaf,
        "input": lambda: h,
        "both routed": lambda: routed(leaf * 1),
        "view": lambda: leaf.reshape(3, 5).reshape(5, 3),
        "in place": lambda: leaf.clone(),
    }[other]()
    total = y.add_(side) if other == "in place" else y + side if first else side + y
    (total * weight).sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), way_back(weight) + (weight.numpy() if other == "input" else 0))
    if other != "input":
        assert leaf.grad is not None
        wanted = way_back(weight) if other == "both routed" else weight.numpy()
        np.testing.assert_allclose(leaf.grad.numpy(), wanted)


def test_residual_nets_equal_the_same_by_hand() -> None:
    def by_hand(x: Tensor) -> Tensor:
        mask = torch.zeros(5, 1, dtype=torch.float64)
        mask[ROWS] = 1
        return x * 7 * mask + x * (1 - mask)

    for net in (
        lambda x, f: x + f(x + f(x)) + f(f(x)),
        lambda x, f: f(torch.cat([f(x), f(x)], 1)[:, 2:5]) * f(x),
        lambda x, f: torch.stack([f(x), f(f(x)), x]).unbind()[1] + f(x).t().t(),
    ):
        found = []
        for f in (routed, by_hand):
            x = data().requires_grad_()
            (net(x, f) * data(3)).sum().backward()
            found.append(x.grad)
        assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)


def test_create_graph_and_retain_graph() -> None:
    x, weight = data().requires_grad_(), data(1).requires_grad_()
    y = (routed(x * 1) * weight).sum()
    (first,) = torch.autograd.grad(y, x, create_graph=True)
    np.testing.assert_allclose(first.detach().numpy(), way_back(weight.detach()))
    first.sum().backward(retain_graph=True)
    assert weight.grad is not None
    np.testing.assert_allclose(weight.grad.numpy(), way_back(np.ones((5, 3))))
    for _ in range(3):
        (once_more,) = torch.autograd.grad(y, x, retain_graph=True)
        np.testing.assert_allclose(once_more.numpy(), way_back(weight.detach()))
    assert x.grad is None


@pytest.mark.parametrize("reentrant", [True, False])
def test_within_checkpoints(reentrant: bool) -> None:
    x, weight, kept = data().requires_grad_(), data(1), list[Tensor]()
    y = checkpoint(routed, checkpoint(routed, x, use_reentrant=reentrant), use_reentrant=reentrant)
    y.register_hook(kept.append)
    (y * weight).sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), way_back(way_back(weight)))
    assert torch.equal(kept[0], weight)


@contextmanager
def switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_several_threads_over_one_net() -> None:
    net = wye.When("norm(x) > 1", nn.Linear(3, 3)).double()
    net.requires_grad_(False)
    x, weight, wrong = data() * 2, data(1), list[str]()
    alone = x.clone().requires_grad_()
    (net(alone * 1) * weight).sum().backward()

    def work() -> None:
        for _ in range(60):
            kept: list[Tensor] = []
            mine = x.clone().requires_grad_()
            y = net(mine * 1)
            y.register_hook(kept.append)
            (y * weight).sum().backward()
            if not torch.equal(mine.grad, alone.grad):  # type: ignore[arg-type]
                wrong.append("gradient")
            if not torch.equal(kept[0], weight):
                wrong.append("kept")

    with switching_often():
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_a_backward_shared_by_threads() -> None:
    x, weight = data().requires_grad_(), data(1)
    middle = x * 1
    losses = [(routed(middle) * weight).sum() for _ in range(4)]
    threads = [threading.Thread(target=lambda loss=loss: loss.backward(retain_graph=True)) for loss in losses]
    with switching_often():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    gc.collect()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), 4 * way_back(weight), rtol=1e-12)
