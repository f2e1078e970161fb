"""`register`: the names under which classes and functions stand in files; nothing else is looked up from one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast, overload

from torch import Tensor, nn

from ...errors import PartError
from ...formula.naming import NAME

Target = TypeVar("Target", bound=Callable[..., Any])
CLASSES: dict[str, type[nn.Module]] = {}
FUNCTIONS: dict[str, Callable[..., Any]] = {}
ARGUMENTS = "_wye_arguments"
"""Where a registered module keeps what it was built from."""


OTHERS = ("torch.", "wye.")
"""Modules whose classes are known already, or are not the user's to change."""


class OwnTensor:
    """An argument that became a tensor of the module's own, by its name there."""

    def __init__(self, name: str) -> None:
        self.name = name


@overload
def register(target: Target, /, *, name: str | None = None) -> Target: ...
@overload
def register(*, name: str) -> Callable[[Target], Target]: ...
def register(target: Any = None, /, *, name: str | None = None) -> Any:
    """Lets `save` write a class of modules, or a function, by its name; `load` finds it where it is registered too.

    Of a module the arguments are kept that it was built from: numbers, texts, None, dtypes, modules that it holds,
    registered functions, and lists, tuples and dicts of those. A class whose modules change otherwise has a method
    `settings()` that returns the keyword arguments to build one as it is now. Weights, buffers and the modules inside
    are kept as they are when it is saved. A class that is not registered is *opaque*: its weights are saved, and
    `load` is given one that fits.

    Args:
        target: a class derived from nn.Module, or a function.
        name: another name than its own, for the files.

    Returns:
        The class or the function itself; without a target, a decorator.

    Raises:
        PartError: it is neither, or the name is another's.

    Example:
        >>> import torch, wye, tempfile
        >>> @wye.register
        ... class Scaled(torch.nn.Module):
        ...     def __init__(self, width, scale=1.0):
        ...         super().__init__()
        ...         self.layer, self.scale = torch.nn.Linear(width, width), scale
        ...     def forward(self, x):
        ...         return self.scale * self.layer(x)
        >>> net = wye.Chain(Scaled(4, scale=0.5), "relu(x)")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wye.save(net, f"{folder}/net.safetensors")
        ...     again = wye.load(f"{folder}/net.safetensors")
        >>> again[0].scale, bool((again(torch.ones(1, 4)) == net(torch.ones(1, 4))).all())
        (0.5, True)
    """
    if target is None:
        return functools.partial(register, name=name)
    word = name if name is not None else getattr(target, "__name__", "")
    if isinstance(target, type) and issubclass(target, nn.Module) and not target.__module__.startswith(OTHERS):
        _take(CLASSES, word, target)
        if "__init__" not in vars(target) or not hasattr(vars(target)["__init__"], ARGUMENTS):
            _record(target)
    elif inspect.isfunction(target) and target.__name__ != "<lambda>":
        _take(FUNCTIONS, word, target)
    else:
        fix = "register a class derived from torch.nn.Module, or a function with a name"
        raise PartError("only classes of modules and functions have names.", "register(...)", repr(target)[:80], fix)
    return target


def _take(known: dict[str, Any], word: str, target: Any) -> None:
    """Keeps it under its name; the same one defined anew, as in a notebook, takes the place of the old."""
    if not isinstance(word, str) or not NAME.match(word):  # pyright: ignore[reportUnnecessaryIsInstance]
        fix = 'use ASCII letters, digits and _, a letter first: register(..., name="tower")'
        raise PartError(f"`{word}` is no name for a file.", "register(...)", repr(word), fix)
    before = known.get(word)
    if before is not None and (before.__module__, before.__qualname__) != (target.__module__, target.__qualname__):
        got, fix = f"{before.__module__}.{before.__qualname__}", f'choose another: register(..., name="{word}2")'
        raise PartError(f"the name `{word}` is registered already.", "register(...)", got, fix)
    known[word] = target


def _record(cls: type[nn.Module]) -> None:
    """Lets the modules of a class remember what they are built from."""
    plain = cls.__init__

    @functools.wraps(plain)
    def init(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        if type(self) is not cls:  # a subclass calls; it is registered by itself, or opaque
            plain(self, *args, **kwargs)
            return
        given = inspect.signature(plain).bind(self, *args, **kwargs).arguments
        kept = {name: _still(value) for name, value in list(given.items())[1:]}
        plain(self, *args, **kwargs)
        self.__dict__[ARGUMENTS] = {name: _own(self, value) for name, value in kept.items()}

    setattr(init, ARGUMENTS, True)
    setattr(cls, "__init__", init)  # noqa: B010  # pyright knows no other way


def _still(value: Any) -> Any:
    """A value that the constructor or the caller may change later, as it is now."""
    if type(value) is list or isinstance(value, tuple):
        items = [_still(item) for item in cast(Sequence[Any], value)]
        return items if type(value) is list else tuple(items)  # pyright: ignore[reportUnknownArgumentType]
    return {key: _still(item) for key, item in value.items()} if type(value) is dict else value  # pyright: ignore


def _own(module: nn.Module, value: Any) -> Any:
    if isinstance(value, Tensor):
        for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
            if tensor is value:
                return OwnTensor(name)
    return value


def arguments_of(module: nn.Module) -> dict[str, Any]:
    """What a module of a registered class is built from, by name; those of `*args` and `**kwargs` under these names.

    Raises:
        PartError: it was built before its class was registered.
    """
    settings = getattr(type(module), "settings", None)
    if callable(settings):
        told: Any = settings(module)
        if not isinstance(told, dict):
            got, fix = type(told).__name__, "return the keyword arguments to build one as it is now"
            raise PartError("`settings()` returns no dict.", f"{type(module).__name__}.settings", got, fix)
        return cast(dict[str, Any], told)
    found = module.__dict__.get(ARGUMENTS)
    if found is None:
        word = type(module).__name__
        fix = f"write @wye.register before `class {word}`, and build it after that"
        raise PartError(f"a {word} was built before its class was registered.", f"{word}(...)", "no arguments", fix)
    return found


def built(cls: type[nn.Module], settings: dict[str, Any]) -> nn.Module:
    """A module of a registered class, from what `arguments_of` says."""
    signature = inspect.signature(cls)
    bound = signature.bind_partial()
    bound.arguments.update({name: settings.pop(name) for name in signature.parameters if name in settings})
    return cls(*bound.args, **bound.kwargs, **settings)


def name_of(target: Any, known: dict[str, Any]) -> str | None:
    """The name under which it is registered."""
    return next((name for name, one in known.items() if one is target), None)
