"""From a model to its description and its tensors."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ...errors import PartError, listed
from ...keep.description import Description, Entry, resolved, within
from ...keep.plain import written
from ..flow.chance import Dice
from ..keras_layer import KerasLayer
from . import layers, nodes, registry
from .values import special

DTYPES: dict[str, torch.dtype] = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F8_E8M0": torch.float8_e8m0fnu,
}
"""The dtypes of files in the words of torch."""
LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""The other way for tensors of so many axes to lie in memory."""
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def describe(model: nn.Module) -> tuple[Description, dict[str, Tensor]]:
    """What a model is made of, and its tensors, each under its first key.

    Raises:
        PartError: something in it stands in no file.
    """
    parts, same = _parts(model)
    tensors, ties, keys = dict[str, Tensor](), dict[str, str](), dict[int, str]()
    for key, tensor in model.state_dict(keep_vars=True).items():
        _check_tensor(key, tensor)
        first = keys.setdefault(id(tensor), key)
        if first == key:
            tensors[key] = tensor
        elif resolved(key, same) != first:
            ties[key] = first
    still = [key for key, one in tensors.items() if isinstance(one, nn.Parameter) and not one.requires_grad]
    last = [
        key for key, one in tensors.items() if (way := LAST.get(one.dim())) and one.is_contiguous(memory_format=way)
    ]
    last = [key for key in last if not tensors[key].is_contiguous()]
    return Description(parts, same, ties, tuple(still), tuple(last)), tensors


def _parts(model: nn.Module) -> tuple[dict[str, Entry], dict[str, str]]:
    parts, same, first = dict[str, Entry](), dict[str, str](), dict[int, str]()

    def visit(path: str, module: nn.Module) -> None:
        if first.setdefault(id(module), path) != path:
            same[path] = first[id(module)]
            return
        parts[path] = _entry(path, module)
        for name, child in held(module).items():
            visit(within(path, name), child)

    visit("", model)
    return parts, same


def held(module: nn.Module) -> dict[str, nn.Module]:
    """The modules inside by name; not the dice, which a node makes itself."""
    return {name: one for name, one in module._modules.items() if one is not None and not isinstance(one, Dice)}


def kind_of(module: nn.Module) -> str | None:
    """The name under which its class stands in files; None for one that only the caller knows."""
    cls = type(module)
    return nodes.KINDS.get(cls) or layers.KINDS.get(cls) or registry.name_of(cls, registry.CLASSES)


def own(path: str, module: nn.Module) -> tuple[str, dict[str, Any]] | None:
    """The name of its class and its settings, without what is in the modules inside; None: it is opaque."""
    kind = kind_of(module)
    if kind is None:
        return None
    home = nodes if kind in nodes.MODULES else layers if kind in layers.LAYERS else registry
    where = f"{type(module).__name__} at {path!r}" if path else type(module).__name__
    found = home.arguments_of(module).items()
    return kind, {name: written(value, special(module), name, where) for name, value in found}


def _entry(path: str, module: nn.Module) -> Entry:
    names, resting = tuple(held(module)), not module.training
    found = own(path, module)
    if found is None:
        kind = (
            f"KerasLayer of {type(module.layer).__name__}" if isinstance(module, KerasLayer) else type(module).__name__
        )
        return Entry(kind, {}, names, opaque=True, eval=resting)
    _check_whole(path, module, found[0])
    return Entry(*found, names, eval=resting)


def _check_whole(path: str, module: nn.Module, kind: str) -> None:
    """What a class is built from makes all that a module is: nothing was hung onto it since."""
    if kind in registry.CLASSES:
        return
    where = f"{type(module).__name__} at {path!r}" if path else type(module).__name__
    if "forward" in module.__dict__ and kind in layers.LAYERS:
        fix = "write a class of your own and register it: @wye.register"
        raise PartError("a layer has another forward than its class.", where, "forward = ...", fix)
    there, made = tensors_of(module), _made(module, kind)
    odd = [name for name in sorted(there | made) if there.get(name) != made.get(name)]
    if odd:
        got = ", ".join(f"{name} {_shape(there, name)} instead of {_shape(made, name)}" for name in odd)
        fix = "make them its own, as torch.nn.utils.prune.remove does; or write a class and register it: @wye.register"
        raise PartError("a layer has other tensors than its class makes.", where, got, fix)


def _shape(shapes: Mapping[str, tuple[int, ...]], name: str) -> str:
    return str(shapes[name]) if name in shapes else "none"


def tensors_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors that a module has by itself and that are saved."""
    found = {**module._parameters, **module._buffers}
    kept = [name for name in found if name not in module._non_persistent_buffers_set]
    return {name: tuple(one.shape) for name in kept if (one := found[name]) is not None}


def _made(module: nn.Module, kind: str) -> dict[str, tuple[int, ...]]:
    """The shapes that a module of this class would have."""
    if kind in nodes.MODULES:
        there, known = tensors_of(module), nodes.tensors_of(module)
        return {name: there.get(name, ()) for name in known}
    if type(module) in layers.OVER_OTHERS:
        return {}
    buffers = {name: one for name, one in module._buffers.items() if one is not None}
    settings = {
        name: buffers[value.name].to("meta") if isinstance(value, registry.OwnTensor) else value
        for name, value in layers.arguments_of(module).items()
    }
    with torch.device("meta"):
        return tensors_of(layers.LAYERS[kind](**settings))


def _check_tensor(key: str, tensor: object) -> None:
    """Refuses what safetensors cannot hold."""
    where = f"`{key}`"
    if not isinstance(tensor, Tensor):
        got, fix = type(tensor).__name__, "keep it in a buffer, or in the arguments of a registered class"
        raise PartError("only tensors stand in a file beside the description.", where, got, fix)
    if is_lazy(tensor):
        got, fix = "a lazy layer", "run the model once on a batch, which gives it its shape"
        raise PartError("a weight has no shape yet.", where, got, fix)
    if tensor.is_meta:
        raise PartError("a tensor holds no values.", where, "a tensor on meta", "fill it: load weights into the model")
    if tensor.layout is not torch.strided or tensor.dtype not in NAMES or type(tensor) not in (Tensor, nn.Parameter):
        kind = "" if type(tensor) in (Tensor, nn.Parameter) else f"{type(tensor).__name__} of "
        got = f"{kind}{str(tensor.dtype)[6:]}, {str(tensor.layout)[6:]}"
        fix = f"give a dense one of {listed(sorted(str(dtype)[6:] for dtype in NAMES))}"
        raise PartError("no file holds a tensor of this kind.", where, got, fix)
