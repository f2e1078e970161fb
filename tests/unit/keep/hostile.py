"""Files that mean harm, each sealed as `save` would seal it: code in names, traversal, sizes, depth, doubled keys."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Callable
from typing import Any

import torch

BLANK = "0" * 64
WEIGHT = {"weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}
LINEAR = {"class": "nn.Linear", "settings": {"in_features": 2, "out_features": 2, "bias": False}}


def sealed(text: str, table: str = json.dumps(WEIGHT)[1:], data: bytes = bytes(16)) -> bytes:
    """A file whose header says all this, and a seal that fits.

    Args:
        text: the description, behind its seal.
        table: the entries of the tensors, as they stand in the header, with its last bracket.
        data: the bytes of the tensors.
    """
    inner = json.dumps('{"sha256":"' + BLANK + '",' + text)
    header = ('{"__metadata__":{"wye":' + inner + "}," + table).encode("latin-1")
    blank = len(header).to_bytes(8, "little") + header + data
    return blank.replace(BLANK.encode(), hashlib.sha256(blank).hexdigest().encode(), 1)


def model(parts: dict[str, Any], tensors: dict[str, Any] | None = None, data: bytes = bytes(16), **more: Any) -> bytes:
    text = json.dumps({"format": 1, "parts": parts, **more})[1:]
    return sealed(text, json.dumps(WEIGHT if tensors is None else tensors)[1:], data)


def one(kind: str, *holds: str, **settings: Any) -> bytes:
    """A model of one module, over linear layers."""
    entry: dict[str, Any] = {"class": kind, "settings": settings, "holds": list(holds)}
    tensors = {f"{name}.weight": WEIGHT["weight"] for name in holds} or WEIGHT
    return model({"": entry, **dict.fromkeys(holds, LINEAR)}, tensors)


def tensor(dtype: Any = "F32", shape: Any = (2, 2), offsets: Any = (0, 16), data: bytes = bytes(16)) -> bytes:
    return model({"": LINEAR}, {"weight": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}, data)


def node(kind: str, **settings: Any) -> bytes:
    return one(kind, "block", stages=["block"], wants=[], **settings)


def chained(*names: str, same: dict[str, str] | None = None, **entries: Any) -> bytes:
    top = {"class": "wye.Chain", "settings": {"stages": list(names), "wants": []}, "holds": list(names)}
    return model({"": top, **entries}, **({"same": same} if same else {}))


class Runs:
    """A pickle that runs a command when it is read."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        import os

        return os.system, ("touch ran",)


def as_zip() -> bytes:
    """What torch.save writes."""
    buffer = io.BytesIO()
    torch.save(Runs(), buffer)
    return buffer.getvalue()


def deep(count: int) -> bytes:
    text = '"format":1,"parts":{"":{"class":"nn.ReLU","settings":{"inplace":' + "[" * count + "]" * count + "}}}}"
    return sealed(text)


def long_path(count: int) -> bytes:
    paths = [".".join(["a"] * length) for length in range(count + 1)]
    return model({path: {"class": "nn.Sequential", "holds": ["a"] if path != paths[-1] else []} for path in paths})


def join(formula: Any, **parts: Any) -> bytes:
    return one("wye.Join", formula=formula, inputs=["x"], parts={"dict": parts})


def doubling(count: int) -> bytes:
    """Modules that each hold the one before twice: few of them, and 2 ** count paths."""
    parts: dict[str, Any] = {"": {"class": "nn.Sequential", "holds": [f"m{place}" for place in range(count)]}}
    same: dict[str, str] = {}
    for place in range(count):
        holds = ["x", "y"] if place else []
        parts[f"m{place}"] = {"class": "nn.Sequential", "holds": holds}
        same |= {f"m{place}.{name}": f"m{place - 1}" for name in holds}
    return model(parts, same=same)


def stacked(depth: int, count: int) -> bytes:
    """Encoders of encoders, each of which would be copied for every layer."""
    parts, same, path = dict[str, Any](), dict[str, str](), ""
    for _ in range(depth):
        layers = f"{path}.layers".lstrip(".")
        parts[path] = {"class": "nn.TransformerEncoder", "settings": {"norm": False}, "holds": ["layers"]}
        parts[layers] = {"class": "nn.ModuleList", "holds": [str(place) for place in range(count)]}
        same |= {f"{layers}.{place}": f"{layers}.0" for place in range(1, count)}
        path = f"{layers}.0"
    return model({**parts, path: LINEAR}, {f"{path}.weight": WEIGHT["weight"]}, same=same)


RELU = '"format":1,"parts":{"":{"class":"nn.ReLU"}}}'
OS = "__import__('os').system('touch ran')"
MANY = {
    f"m{place}": {"class": "nn.LSTM", "settings": {"input_size": 2, "hidden_size": 2, "num_layers": 99}}
    for place in range(9)
}
FILES: dict[str, Callable[[], bytes]] = {
    # code in names
    "a command as a class": lambda: one("os.system"),
    "a process as a class": lambda: one("subprocess.Popen", args=["touch", "ran"]),
    "eval as a class": lambda: one("builtins.eval", source=OS),
    "a class of torch by its path": lambda: one("torch.nn.modules.linear.Linear", in_features=2, out_features=2),
    "a class that is a list": lambda: model({"": {"class": ["nn.Linear"]}}),
    "code as a formula": lambda: join({"formula": OS}),
    "attributes in a formula": lambda: join({"formula": "x.__class__.__mro__"}),
    "code as a schedule": lambda: join({"formula": "x * t"}, t={"schedule": OS}),
    "a function of Python": lambda: join({"function": "exec"}),
    "a function by its path": lambda: node("wye.While", condition={"function": "os.system"}, max_steps=2),
    "a dtype that is none": lambda: one("nn.ReLU", inplace={"dtype": "os"}),
    "a dtype with underscores": lambda: one("nn.ReLU", inplace={"dtype": "__builtins__"}),
    "a setting of a kind of its own": lambda: one("nn.ReLU", inplace={"eval": OS}),
    "an argument that nobody has": lambda: one("nn.Linear", in_features=2, out_features=2, __class__="os"),
    "a part with the name of an attribute": lambda: join({"formula": "x * forward"}, forward=1.0),
    "a table read by an attribute": lambda: join({"formula": "x * weight"}, weight={"table": "__class__"}),
    "keywords of underscores": lambda: one("wye.Takes", "module", names={"dict": {"__init__": "x"}}),
    # paths
    "a part above all others": lambda: chained("../../etc/passwd", **{"../../etc/passwd": LINEAR}),
    "a key above all others": lambda: model({"": LINEAR}, {"../../etc/passwd": WEIGHT["weight"]}),
    "a module above": lambda: one("nn.ReLU", inplace={"module": "../weight"}),
    "a module within itself": lambda: one("wye.Frozen", "module", x={"module": ""}),
    "a circle of shared modules": lambda: chained("a", "b", same={"a": "b", "b": "a"}),
    "a module shared with what it holds": lambda: chained(
        "a", a={"class": "nn.Sequential", "holds": ["b"]}, same={"a.b": "a"}
    ),
    "a part that nobody holds": lambda: model({"": LINEAR, "lost": LINEAR}),
    "a stage that is not there": lambda: chained("a"),
    # sizes
    "a shape of 2**62": lambda: tensor(shape=[2**62]),
    "a shape that overflows": lambda: tensor(shape=[0, 2**62, 2**62], offsets=[0, 0], data=b""),
    "a negative shape": lambda: tensor(shape=[-2, -2]),
    "a shape of floats": lambda: tensor(shape=[2.0, 2.0]),
    "65 axes": lambda: tensor(shape=[1] * 65, offsets=[0, 4]),
    "offsets behind the end": lambda: tensor(offsets=[2**40, 2**40 + 16]),
    "a dtype of no size": lambda: tensor(dtype="OBJECT"),
    "tensors that overlap": lambda: model({"": LINEAR}, {"weight": WEIGHT["weight"], "more": WEIGHT["weight"]}),
    "a header of 2**63 bytes": lambda: (2**63).to_bytes(8, "little") + sealed('"format":1}')[8:],
    "a header of 64 MB": lambda: sealed('"format":1,"x":"' + "x" * 2**26 + '"}'),
    "a header of millions of lists": lambda: sealed('"format":1,"x":[' + "[]," * 5_000_000 + "0]}"),
    "a layer of 10**24 weights": lambda: one("nn.Linear", in_features=10**12, out_features=10**12, bias=False),
    "a layer of 10**12 weights": lambda: one("nn.Linear", in_features=10**6, out_features=10**6, bias=False),
    "a thousand million layers": lambda: one("nn.LSTM", input_size=2, hidden_size=2, num_layers=10**9),
    "many recurrent layers": lambda: chained(*MANY, **MANY),
    "a number of a million digits": lambda: sealed(RELU[:-3] + ',"settings":{"inplace":' + "9" * 10**6 + "}}}}"),
    "a formula of 100,000 characters": lambda: join({"formula": "x + " * 25_000 + "x"}),
    "a power that never ends": lambda: join({"formula": "x * 9**9**9**9**9"}),
    "depth without end": lambda: node("wye.While", condition=True, max_steps=float("1e308")),
    "modules shared over and over": lambda: doubling(40),
    "encoders of encoders": lambda: stacked(3, 150),
    "a key of 400,000 characters": lambda: model({"": LINEAR}, {"a." * 200_000: WEIGHT["weight"]}),
    "a part of 400,000 characters": lambda: chained("a" * 400_000, **{"a" * 400_000: LINEAR}),
    "many shared modules": lambda: chained(
        "a", *(f"b{place}" for place in range(4000)), a=LINEAR, same={f"b{place}": "a" for place in range(4000)}
    ),
    # depth, doubles and nonsense
    "weights of whole numbers": lambda: tensor(dtype="I64", data=bytes(32), offsets=[0, 32]),
    "a key tied to an attribute": lambda: model({"": LINEAR}, ties={"training": "weight"}),
    "a key tied to nothing": lambda: model({"": LINEAR}, ties={"nope.weight": "weight"}),
    "dice of no numbers": lambda: one("wye.RandomChoice", "0", stages=["0"], wants=[], dice=True),
    "JSON 100,000 deep": lambda: deep(100_000),
    "JSON 900 deep": lambda: deep(900),
    "modules 1,000 deep": lambda: long_path(1000),
    "a key twice in the header": lambda: sealed(RELU, json.dumps(WEIGHT)[1:-1] + "," + json.dumps(WEIGHT)[1:]),
    "a key twice in the description": lambda: sealed(RELU[:-3] + ',"class":"os.system"}}}'),
    "a format to come": lambda: sealed('"format":2,"parts":{}}'),
    "no format": lambda: sealed('"parts":{"":{"class":"nn.ReLU"}}}'),
    "no model": lambda: sealed('"format":1,"parts":{}}'),
    "a key that no description has": lambda: model({"": LINEAR}, code=OS),
    "NaN": lambda: sealed('"format":1,"parts":{"":{"class":"nn.Dropout","settings":{"p":NaN}}}}'),
    "an attention without heads": lambda: one("nn.MultiheadAttention", embed_dim=4, num_heads=0),
    "settings that are a text": lambda: model({"": {"class": "nn.ReLU", "settings": OS}}),
    "weights that no layer has": lambda: one("nn.ReLU", inplace=False),
    "a choice of weights that are none": lambda: node("wye.RandomChoice", weights={"float": "nan"}),
    "bytes that are no text": lambda: sealed(RELU, json.dumps(WEIGHT)[1:].replace("weight", "\xff\xfe")),
    # pickles by another name
    "a pickle": lambda: pickle.dumps(Runs(), 2),
    "a pickle of the oldest kind": lambda: pickle.dumps(Runs(), 0),
    "a zip of torch": as_zip,
    "a pickle behind a length": lambda: (200).to_bytes(8, "little") + pickle.dumps(Runs(), 4),
}  # fmt: skip
