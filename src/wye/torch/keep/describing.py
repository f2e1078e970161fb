"""From a model to its description and its tensors."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ...errors import PartError, listed
from ...keep.description import DEEPEST, Description, Entry, resolved, within
from ...keep.plain import written
from ..flow.chance import Dice
from ..join import Join
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
    state, there = model.state_dict(keep_vars=True), _keys(model)
    for key, tensor in state.items():
        _check_tensor(key, tensor)
        if key not in there:
            fix = "save it without the hook that renames keys, or its parts"
            raise PartError("the state dict has a key that is no tensor's of the model.", f"`{key}`", "a hook", fix)
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


def _keys(model: nn.Module) -> set[str]:
    """The keys of all tensors that the modules have by themselves, by each of their paths."""
    found = model.named_modules(remove_duplicate=False)
    return {within(path, name) for path, module in found for name in (*module._parameters, *module._buffers)}


def _parts(model: nn.Module) -> tuple[dict[str, Entry], dict[str, str]]:
    parts, same, first = dict[str, Entry](), dict[str, str](), dict[int, str]()

    def visit(path: str, module: nn.Module) -> None:
        if first.setdefault(id(module), path) != path:
            same[path] = first[id(module)]
            return
        if path.count(".") + 1 >= DEEPEST:
            fix = "put fewer modules within one another"
            raise PartError(f"more than {DEEPEST} modules stand within one another.", f"`{path[:80]}...`", "", fix)
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
    if hasattr(module, "_orig_mod"):
        fix = "save the model before its parts are compiled, or compile all of it"
        raise PartError("a compiled module stands within the model.", _where(path, module), "torch.compile(...)", fix)
    if kind is None:
        return None
    home, where = (
        nodes if kind in nodes.MODULES else layers if kind in layers.LAYERS else registry,
        _where(path, module),
    )
    found = home.arguments_of(module).items()
    return kind, {name: written(value, special(module), name, where) for name, value in found}


def _entry(path: str, module: nn.Module) -> Entry:
    names, resting = tuple(held(module)), not module.training
    found = own(path, module)
    if found is None:
        kind = (
            f"KerasLayer of {type(module.layer).__name__}" if isinstance(module, KerasLayer) else type(module).__name__
        )
        return Entry(kind, {}, names, opaque=True, eval=resting, state=_state(path, module))
    _check_whole(path, module, found[0])
    state = _state(path, module) if found[0] in registry.CLASSES else {}
    return Entry(*found, names, eval=resting, state=state)


def _state(path: str, module: nn.Module) -> dict[str, Any]:
    """What may have been assigned in a module of a class derived from one of wye's."""
    told = nodes.switched_of(module).items()
    return {name: written(value, special(module), name, _where(path, module)) for name, value in told}


def _where(path: str, module: nn.Module) -> str:
    return f"{type(module).__name__} at {path!r}" if path else type(module).__name__


def _check_whole(path: str, module: nn.Module, kind: str) -> None:
    """What a class is built from makes all that a module is: nothing was hung onto it since."""
    where = _where(path, module)
    if _patched(module):
        fix = "write a class of your own and register it: @wye.register"
        raise PartError("a module has another forward than its class.", where, "forward = ...", fix)
    if kind in registry.CLASSES:
        return
    there, made = tensors_of(module), _made(module, kind)
    odd = [name for name in sorted(there | made) if there.get(name) != made.get(name)]
    if odd:
        got = ", ".join(f"{name} {_shape(there, name)} instead of {_shape(made, name)}" for name in odd)
        fix = "make them its own, as torch.nn.utils.prune.remove does; or write a class and register it: @wye.register"
        raise PartError("a layer has other tensors than its class makes.", where, got, fix)


def _patched(module: nn.Module) -> bool:
    """Whether somebody put another forward into it; that of a Join is made of its formula."""
    forward = module.__dict__.get("forward")
    if isinstance(module, Join) and (
        module._made is None or getattr(forward, "__func__", None) is module._made.forward
    ):
        return False
    return forward is not None


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
