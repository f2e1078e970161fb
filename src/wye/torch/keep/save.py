"""`save`, `load` and `load_weights`: a model is its formulas and its weights, and nothing that is loaded runs code."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy

from ...errors import FileError, InputError, WyeError
from ...keep.aside import written_aside
from ...keep.description import Description, described, is_within, within
from ...keep.sealed import LINE, WHOLE, Plain, opened, write
from ...keep.weights import Loaded, compared, misfit
from .describing import LAST, NAMES, describe
from .nodes import KINDS, numbers_of
from .rebuilding import Rebuilding

Path = str | os.PathLike[str]


def save(model: nn.Module, path: Path) -> None:
    """Writes a model into one file: its formulas and settings as text, its weights, and a seal over all of it.

    The file is one of safetensors. Its header says of each module its class, by the name in a registry, and what it is
    built from; no code stands in it. Layers of torch.nn and all modules of wye are known, others once they are
    registered (`wye.register`); a module of another class is *opaque*: its weights are saved, and who loads the file
    gives one. Shared modules and tied weights are written once. The file is written aside, synced and renamed, so an
    old one stays whole until the new one is. Hooks are not kept, nor what was counted.

    Args:
        model: any module; of a compiled one, or one in DistributedDataParallel, the module inside is saved.
        path: of the file.

    Raises:
        PartError: something in the model stands in no file, such as a callable that is not registered.
        OSError: the folder is not there, or is full.

    Example:
        >>> import tempfile, torch, wye
        >>> net = wye.Chain(torch.nn.Linear(4, 8), wye.When("norm(x) > 1", torch.nn.Linear(8, 8)))
        >>> x = torch.ones(3, 4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wye.save(net, f"{folder}/net.safetensors")
        ...     again = wye.load(f"{folder}/net.safetensors")
        >>> torch.equal(again(x), net(x)), again[1].condition
        (True, Formula('norm(x) > 1'))
    """
    description, tensors = describe(_bare(model))
    text = description.text()
    with torch.no_grad(), written_aside(path) as aside:
        write(aside, text, {key: _plain(tensor) for key, tensor in tensors.items()})


def _bare(model: Any) -> Any:
    """The module within a compiled one, or within one that is trained on several ranks."""
    while isinstance(model, DistributedDataParallel | nn.DataParallel) or hasattr(model, "_orig_mod"):
        model = model._orig_mod if hasattr(model, "_orig_mod") else model.module
    if not isinstance(model, nn.Module):
        got, fix = type(model).__name__, "give a module; of tensors alone: safetensors.torch.save_file"
        raise InputError("a file holds a module.", "save(...) or load_weights(...)", got, fix)
    return model


def _plain(tensor: Tensor) -> Plain:
    """A tensor as it is written; its bytes are read where they are, if they lie one after the other."""
    shown = tensor.detach().cpu().contiguous().reshape(-1)
    data: Any = shown.view(torch.uint8).numpy() if shown.numel() else b""
    return Plain(NAMES[tensor.dtype], list(tensor.shape), memoryview(data))


def load(path: Path, parts: Mapping[str, Any] = {}) -> Any:
    """Builds the model again that `save` wrote, on the CPU.

    The seal is compared before anything is built. Weights lie on the pages of the file until they are written to, as
    safetensors leaves them: a file that is in use is replaced, as `save` does it, and never written into.

    Args:
        path: of the file.
        parts: modules for what only their owner can build, by their paths, such as `{"body": TextTower()}`; they take
            their weights from the file, and so do known modules inside them, with their formulas and settings.

    Returns:
        The model, of the class that was saved, with the same values, weights, dice and formulas; in training or in
        eval as it was.

    Raises:
        FileError: it is no file of `save`, or damaged; an opaque part is not given; a class is not registered.
        OSError: there is no such file.

    Example:
        >>> import tempfile, torch, wye
        >>> class Tower(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.layer = torch.nn.Linear(4, 4)
        ...     def forward(self, x):
        ...         return self.layer(x)
        >>> net = wye.Chain(body=Tower(), head=torch.nn.Linear(4, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wye.save(net, f"{folder}/net.safetensors")
        ...     again = wye.load(f"{folder}/net.safetensors", parts={"body": Tower()})
        >>> torch.equal(again(torch.ones(1, 4)), net(torch.ones(1, 4)))
        True
    """
    # what layers draw when they are built is thrown away, and where they are built is not where the caller is
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.device("cpu"):
        description, tensors = _read(path)
        building = Rebuilding(os.fspath(path), description, tensors, parts)
        try:
            model = building.model()
            _fill(model, building, tensors)
        except RecursionError:
            got = f"{len(description.parts):,} parts"
            raise FileError("modules of the file stand too deep in one another.", building.path, got, WHOLE) from None
        except (AttributeError, LookupError, OverflowError, RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, WyeError):
                raise
            got = f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"
            raise FileError("the tensors of the file make no sense in the model.", building.path, got, WHOLE) from error
    return model


def load_weights(model: nn.Module, path: Path, *, strict: bool = True) -> Loaded:
    """Reads the weights of a file into a model that is there, whose formulas and nodes may be others.

    Weights belong to each other by their keys. They are copied in place, so an optimizer goes on with them, and take
    the dtype and the device of the model. Numbers and dice are among them, formulas and settings are not.

    Args:
        model: any module, such as another network over parts of the same names.
        path: of a file that `save` wrote.
        strict: whether all weights of the file must fit all of the model; False fills what fits.

    Returns:
        What matched and what did not.

    Raises:
        FileError: with `strict`, keys or shapes differ, and the model is as it was; or the file is damaged.

    Example:
        >>> import tempfile, torch, wye
        >>> layer = torch.nn.Linear(4, 4)
        >>> net = wye.Chain(loop=wye.While("norm(x) < 10", wye.Join("relu(mid(x))", mid=layer), max_steps=9))
        >>> other = wye.Chain(loop=wye.Repeat(wye.Join("relu(mid(x))", mid=torch.nn.Linear(4, 4)), 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wye.save(net, f"{folder}/net.safetensors")
        ...     print(wye.load_weights(other, f"{folder}/net.safetensors"))
        2 matched
        >>> torch.equal(other.loop.block.mid.weight, layer.weight)
        True
    """
    model = _bare(model)
    description, tensors = _read(path)
    state = {key: one for key, one in model.state_dict(keep_vars=True).items() if isinstance(one, Tensor)}
    _check_writable(state)
    found = compared(_outlines(state), _outlines(tensors), description.first)
    if strict and not found.whole:
        raise misfit(os.fspath(path), found)
    _check_one(os.fspath(path), state, {key: description.first(key) for key in found.matched}, tensors)
    on_nothing = any(tensor.is_meta for tensor in state.values())
    model.load_state_dict(
        {key: tensors[description.first(key)] for key in found.matched}, strict=False, assign=on_nothing
    )
    return found


def _outlines(tensors: Mapping[str, Tensor]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {key: (tuple(one.shape), str(one.dtype)[6:]) for key, one in tensors.items()}


def _check_writable(state: Mapping[str, Tensor]) -> None:
    """Refuses tensors that cannot be written into, before anything is."""
    for key, tensor in state.items():
        if is_lazy(tensor):
            got, fix = "a lazy layer", "run the model once on a batch, which gives it its shape"
            raise InputError("a weight has no shape yet.", f"`{key}`", got, fix)
        if any(step == 0 and size > 1 for step, size in zip(tensor.stride(), tensor.shape, strict=True)):
            raise InputError(
                "a tensor is one number many times.", f"`{key}`", "an expanded tensor", "give it a clone()"
            )


def _check_one(
    path: str, state: Mapping[str, Tensor], firsts: Mapping[str, str], tensors: Mapping[str, Tensor]
) -> None:
    """What is one tensor in the model is one in the file, or two that are equal."""
    keys: dict[int, str] = {}
    for key, first in firsts.items():
        other = firsts[keys.setdefault(id(state[key]), key)]
        if other != first and not torch.equal(tensors[other], tensors[first]):
            got = f"`{key}` is `{keys[id(state[key])]}`"
            fix = "build the model without sharing them, or save one that shares them"
            raise FileError("what is one weight in the model is two in the file.", path, got, fix)


def _read(path: Path) -> tuple[Description, dict[str, Tensor]]:
    """What a file holds, once it is known to be whole.

    The tensors lie on the pages of the file until they are written to, as safetensors leaves them; but those that do
    not begin at a line of the cache are copied to where they do, for they would give other last bits.
    """
    while True:
        with opened(path) as sealed:
            sealed.check()
            try:
                found = load_file(path)
            except (OverflowError, RuntimeError, SafetensorError) as error:
                got = str(error).splitlines()[0][:200]
                raise FileError("the tensors of the file make no sense.", sealed.path, got, WHOLE) from None
            tensors = {key: one if one.data_ptr() % LINE == 0 else one.clone() for key, one in found.items()}
            if sealed.in_place:
                return described(sealed.path, sealed.text), tensors


def _fill(model: nn.Module, building: Rebuilding, tensors: Mapping[str, Tensor]) -> None:
    """Gives a model that was built again its tensors."""
    description, state = building.description, model.state_dict()
    firsts = {key: description.first(key) for key in state}
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    odd = {first for key, first in firsts.items() if shapes.get(first) != tuple(state[key].shape)}
    odd |= (tensors.keys() - set(firsts.values())) | (description.ties.keys() - state.keys())
    if odd:
        what, got = "the tensors of the file are not those of the modules it tells of.", ", ".join(sorted(odd)[:5])
        raise FileError(what, building.path, got, "give parts that are built as the saved ones were")
    _check_one(building.path, model.state_dict(keep_vars=True), firsts, tensors)
    for key, weight in model.named_parameters():
        weight.requires_grad_(firsts[key] not in description.still)
    ways = {key: LAST.get(tensors[key].dim()) for key in description.channels_last if key in tensors}
    tensors = {
        key: tensor.contiguous(memory_format=way) if (way := ways.get(key)) else tensor
        for key, tensor in tensors.items()
    }
    numbers = {within(path, name) for path, one in _modules(model) if _told(one) for name in numbers_of(one)}
    given = {key for key in state if any(is_within(key, path) for path in building.given)}
    for key in state.keys() - numbers:
        state[key] = _copied(model, key, tensors[firsts[key]]) if key in given else tensors[firsts[key]]
    for key in numbers:
        del state[key]
    model.load_state_dict(state, strict=False, assign=True)
    weights = dict(model.named_parameters(remove_duplicate=False))
    for key, first in description.ties.items():
        owner, _, name = key.rpartition(".")
        setattr(model.get_submodule(owner), name, weights[first] if first in weights else model.get_buffer(first))


def _told(module: nn.Module) -> bool:
    """Whether the description has the numbers of a module; of a class derived from one of wye's it has not."""
    return type(module) in KINDS


def _modules(model: nn.Module) -> Iterable[tuple[str, nn.Module]]:
    return model.named_modules(remove_duplicate=False)


def _copied(model: nn.Module, key: str, tensor: Tensor) -> Tensor:
    """A tensor of a module that was given, with the values of the file: an optimizer may hold it already."""
    owner, _, name = key.rpartition(".")
    held: Any = getattr(model.get_submodule(owner), name)
    if not isinstance(held, Tensor) or held.is_meta:  # a number, which is mirrored
        return tensor
    held.data = tensor.to(held.device)
    return held


__all__ = ["load", "load_weights", "save"]
