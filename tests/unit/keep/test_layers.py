"""Every layer of torch.nn that files know, built with settings that are not the default, comes back as it was."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import wye
from wye.torch.keep.layers import CONTAINERS, ELSEWHERE, LAYERS

BUILT: dict[str, tuple[Any, ...]] = {
    "AdaptiveAvgPool1d": (3,),
    "AdaptiveAvgPool2d": ((3, None),),
    "AdaptiveAvgPool3d": ((1, 2, 3),),
    "AdaptiveMaxPool1d": (3, True),
    "AdaptiveMaxPool2d": ((3, 2), True),
    "AdaptiveMaxPool3d": (3,),
    "AlphaDropout": (0.3, True),
    "AvgPool1d": (3, 2, 1, True, False),
    "AvgPool2d": ((3, 2), 2, 1, True, False, 5),
    "AvgPool3d": (3, None, 1, True, False, 5),
    "BCELoss": (torch.rand(3), None, None, "sum"),
    "BCEWithLogitsLoss": (torch.rand(3), None, None, "sum", torch.rand(3)),
    "BatchNorm1d": (3, 1e-3, None, False, False),
    "BatchNorm2d": (3, 1e-3, 0.2, True, True),
    "BatchNorm3d": (3, 1e-3, 0.2, True, False),
    "Bilinear": (2, 3, 4, False),
    "CELU": (0.5, True),
    "CTCLoss": (1, "sum", True),
    "ChannelShuffle": (2,),
    "CircularPad1d": ((1, 2),),
    "CircularPad2d": ((1, 2, 0, 1),),
    "CircularPad3d": (1,),
    "ConstantPad1d": ((1, 2), 0.5),
    "ConstantPad2d": (1, 0.5),
    "ConstantPad3d": (1, float("-inf")),
    "Conv1d": (4, 6, 3, 2, 1, 2, 2, False, "reflect"),
    "Conv2d": (4, 6, (3, 2), (2, 1), "valid", 1, 2, True, "circular"),
    "Conv3d": (4, 6, 3, 1, "same", 2),
    "ConvTranspose1d": (4, 6, 3, 2, 1, 1, 2, False, 2),
    "ConvTranspose2d": (4, 6, (3, 2), (2, 1), 1, (1, 0)),
    "ConvTranspose3d": (4, 6, 3, 2),
    "CosineEmbeddingLoss": (0.2, None, None, "sum"),
    "CosineSimilarity": (0, 1e-3),
    "CrossEntropyLoss": (torch.rand(3), None, 2, None, "none", 0.1),
    "CrossMapLRN2d": (3, 1e-3, 0.5, 2),
    "Dropout": (0.3, True),
    "Dropout1d": (0.3, True),
    "Dropout2d": (0.3,),
    "Dropout3d": (0.3,),
    "ELU": (0.5, True),
    "Embedding": (9, 4, 2, 1.5, 1.0, True, True),
    "EmbeddingBag": (9, 4, 1.5, 1.0, False, "sum", True, None, True, 2),
    "FeatureAlphaDropout": (0.3,),
    "Flatten": (0, 2),
    "Fold": ((4, 5), (2, 3), 1, 1, (1, 2)),
    "FractionalMaxPool2d": ((2, 3), (3, 2)),
    "FractionalMaxPool3d": (2, None, (0.5, 0.5, 0.6), True),
    "GELU": ("tanh",),
    "GLU": (0,),
    "GRU": (4, 3, 2, False, True, 0.0, True),
    "GRUCell": (4, 3, False),
    "GaussianNLLLoss": (),
    "GroupNorm": (2, 4, 1e-3, False),
    "Hardshrink": (0.3,),
    "Hardsigmoid": (True,),
    "Hardswish": (True,),
    "Hardtanh": (-2.0, 3.0, True),
    "HingeEmbeddingLoss": (0.5, None, None, "sum"),
    "HuberLoss": ("sum", 0.5),
    "Identity": (),
    "InstanceNorm1d": (3, 1e-3, 0.2, True, True),
    "InstanceNorm2d": (3,),
    "InstanceNorm3d": (3, 1e-3, 0.2, True),
    "KLDivLoss": (None, None, "batchmean", True),
    "L1Loss": (None, None, "sum"),
    "LPPool1d": (2, 3, 2, True),
    "LPPool2d": (2, (3, 2)),
    "LPPool3d": (2, 3),
    "LSTM": (4, 3, 2, True, False, 0.1, False, 2),
    "LSTMCell": (4, 3),
    "LayerNorm": ((2, 4), 1e-3, True, False),
    "LeakyReLU": (0.2, True),
    "Linear": (3, 4, False),
    "LocalResponseNorm": (2, 1e-3, 0.5, 2.0),
    "LogSigmoid": (),
    "LogSoftmax": (1,),
    "MSELoss": (None, None, "sum"),
    "MarginRankingLoss": (0.5, None, None, "sum"),
    "MaxPool1d": (3, 2, 1, 2, True, True),
    "MaxPool2d": ((3, 2), 2, 1),
    "MaxPool3d": (3,),
    "MaxUnpool1d": (3, 2, 1),
    "MaxUnpool2d": ((3, 2),),
    "MaxUnpool3d": (3,),
    "Mish": (True,),
    "ModuleDict": ({"a": nn.ReLU(), "b c": nn.Linear(2, 3)},),
    "ModuleList": ([nn.Linear(2, 3), nn.ReLU()],),
    "MultiLabelMarginLoss": (None, None, "sum"),
    "MultiLabelSoftMarginLoss": (torch.rand(3), None, None, "sum"),
    "MultiMarginLoss": (2, 0.5, torch.rand(3), None, None, "sum"),
    "MultiheadAttention": (8, 2, 0.1, False, True, True, 6, 4, True),
    "NLLLoss": (torch.rand(3), None, 2, None, "sum"),
    "NonDynamicallyQuantizableLinear": (3, 4, False),
    "PReLU": (3, 0.1),
    "PairwiseDistance": (1.0, 1e-3, True),
    "PixelShuffle": (2,),
    "PixelUnshuffle": (2,),
    "PoissonNLLLoss": (False, True, None, 1e-3, None, "sum"),
    "RMSNorm": ((2, 4), 1e-3, False),
    "RNN": (4, 3, 2, "relu"),
    "RNNCell": (4, 3, False, "relu"),
    "RReLU": (0.1, 0.2, True),
    "ReLU": (True,),
    "ReLU6": (True,),
    "ReflectionPad1d": ((1, 2),),
    "ReflectionPad2d": (1,),
    "ReflectionPad3d": (1,),
    "ReplicationPad1d": ((1, 2),),
    "ReplicationPad2d": (1,),
    "ReplicationPad3d": (1,),
    "SELU": (True,),
    "Sequential": (nn.Linear(2, 3), nn.Sequential(nn.ReLU())),
    "SiLU": (True,),
    "Sigmoid": (),
    "SmoothL1Loss": (None, None, "sum", 0.5),
    "SoftMarginLoss": (None, None, "sum"),
    "Softmax": (1,),
    "Softmax2d": (),
    "Softmin": (1,),
    "Softplus": (2.0, 10.0),
    "Softshrink": (0.3,),
    "Softsign": (),
    "SyncBatchNorm": (3, 1e-3, 0.2, True, True),
    "Tanh": (),
    "Tanhshrink": (),
    "Threshold": (0.1, 20.0, True),
    "Transformer": (8, 2, 2, 1, 16, 0.2, "gelu", None, None, 1e-3, True, False, True),
    "TransformerDecoder": (nn.TransformerDecoderLayer(8, 2, 16), 2, nn.LayerNorm(8)),
    "TransformerDecoderLayer": (8, 2, 16, 0.2, "gelu", 1e-3, True, True, False),
    "TransformerEncoder": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3, None, False, False),
    "TransformerEncoderLayer": (8, 4, 16, 0.2, "gelu", 1e-3, True, True, False),
    "TripletMarginLoss": (0.5, 1.0, 1e-3, True, None, None, "sum"),
    "Unflatten": (1, (2, 2)),
    "Unfold": ((2, 3), 1, 1, (1, 2)),
    "Upsample": ((4, 5), None, "bilinear", True, None),
    "UpsamplingBilinear2d": (None, 2.0),
    "UpsamplingNearest2d": ((4, 5),),
    "ZeroPad1d": ((1, 2),),
    "ZeroPad2d": (1,),
    "ZeroPad3d": (1,),
}
NORM: dict[str, Any] = {"affine": False, "track_running_stats": False}
INSTANCE: dict[str, Any] = {"affine": True, "track_running_stats": True, "bias": False}
CONV: dict[str, Any] = {
    "stride": 2,
    "groups": 2,
    "bias": False,
    "padding_mode": "circular",
    "dilation": 2,
    "padding": 1,
}
TRANSPOSED = {**{name: value for name, value in CONV.items() if name != "padding_mode"}, "output_padding": 1}
MORE: dict[str, list[dict[str, Any]]] = {
    "AdaptiveMaxPool3d": [{"output_size": 3, "return_indices": True}],
    "AvgPool3d": [{"kernel_size": 3, "stride": 2}],
    "BatchNorm1d": [{"num_features": 3, **NORM}, {"num_features": 3, "bias": False}],
    "BatchNorm2d": [{"num_features": 3, **NORM}, {"num_features": 3, "bias": False}],
    "BatchNorm3d": [{"num_features": 3, **NORM}, {"num_features": 3, "bias": False}],
    "SyncBatchNorm": [{"num_features": 3, **NORM}, {"num_features": 3, "bias": False}],
    "InstanceNorm1d": [{"num_features": 3, **INSTANCE}],
    "InstanceNorm2d": [{"num_features": 3, "eps": 1e-3, "momentum": 0.2, **INSTANCE}],
    "InstanceNorm3d": [{"num_features": 3, **INSTANCE}],
    "Conv2d": [{"in_channels": 4, "out_channels": 6, "kernel_size": 3, **CONV}],
    "Conv3d": [{"in_channels": 4, "out_channels": 6, "kernel_size": 3, **CONV}],
    "ConvTranspose2d": [{"in_channels": 4, "out_channels": 6, "kernel_size": 3, **TRANSPOSED}],
    "ConvTranspose3d": [{"in_channels": 4, "out_channels": 6, "kernel_size": 3, **TRANSPOSED}],
    "Dropout2d": [{"inplace": True}],
    "Dropout3d": [{"inplace": True}],
    "EmbeddingBag": [{"num_embeddings": 9, "embedding_dim": 4, "scale_grad_by_freq": True}],
    "FeatureAlphaDropout": [{"inplace": True}],
    "Fold": [{"output_size": 4, "kernel_size": 2, "dilation": 2}],
    "FractionalMaxPool2d": [{"kernel_size": 2, "output_ratio": 0.5, "return_indices": True}],
    "FractionalMaxPool3d": [{"kernel_size": 2, "output_size": 3}],
    "GaussianNLLLoss": [{"full": True, "eps": 1e-3, "reduction": "sum"}],
    "GroupNorm": [{"num_groups": 2, "num_channels": 4, "bias": False}],
    "LPPool2d": [{"norm_type": 2, "kernel_size": 3, "stride": 2, "ceil_mode": True}],
    "LPPool3d": [{"norm_type": 2, "kernel_size": 3, "stride": 2, "ceil_mode": True}],
    "LSTMCell": [{"input_size": 4, "hidden_size": 3, "bias": False}],
    "LayerNorm": [{"normalized_shape": 4, "elementwise_affine": False}],
    "MaxPool2d": [{"kernel_size": 3, "dilation": 2, "return_indices": True, "ceil_mode": True}],
    "MaxPool3d": [
        {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2, "return_indices": True, "ceil_mode": True}
    ],
    "MaxUnpool2d": [{"kernel_size": 3, "stride": 2, "padding": 1}],
    "MaxUnpool3d": [{"kernel_size": 3, "stride": 2, "padding": 1}],
    "Unfold": [{"kernel_size": 2, "dilation": 2}],
    "Upsample": [{"scale_factor": 2.0, "mode": "bilinear", "recompute_scale_factor": True}],
    "UpsamplingBilinear2d": [{"size": (4, 5)}],
    "UpsamplingNearest2d": [{"scale_factor": 2.0}],
}  # fmt: skip
"""Further builds, for arguments that do not go with those above."""
ONE = {f"ConvTranspose{axes}d": {"padding_mode"} for axes in (1, 2, 3)}
"""Arguments that have one value alone."""
BUILDS = [(name, args, {}) for name, args in BUILT.items()]
BUILDS += [(name, (), given) for name, builds in MORE.items() for given in builds]
COMPOSED = (nn.RNN, nn.LSTM, nn.GRU, nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer,
            nn.TransformerEncoder, nn.TransformerDecoder, nn.Transformer, *CONTAINERS)  # fmt: skip
"""Layers whose arguments are not all attributes of theirs."""


def attributes(layer: nn.Module) -> dict[str, Any]:
    """All that a layer has but weights and what torch itself keeps there, read without wye."""
    plain = vars(nn.Module())
    own = {name: value for name, value in vars(layer).items() if name not in plain}
    words = {name: value for name, value in own.items() if not name.startswith("_") and not callable(value)}
    named = {name: getattr(value, "__name__", "") for name, value in own.items() if callable(value)}
    return {**words, **named, "training": layer.training}


def test_every_layer_is_here() -> None:
    assert {f"nn.{name}" for name in BUILT} == LAYERS.keys()


@pytest.mark.parametrize(("name", "args", "given"), BUILDS)
def test_a_layer_comes_back(name: str, args: tuple[Any, ...], given: dict[str, Any], tmp_path: Path) -> None:
    layer = LAYERS[f"nn.{name}"](*args, **given)
    layer.eval()
    wye.save(layer, tmp_path / "layer.safetensors")
    again = wye.load(tmp_path / "layer.safetensors")
    pairs = list(zip(layer.named_modules(), again.named_modules(), strict=True))
    for (path, one), (other_path, other) in pairs:
        assert path == other_path
        assert type(one) is type(other)
        assert attributes(one) == attributes(other)
    state, found = layer.state_dict(), again.state_dict()
    assert state.keys() == found.keys()
    assert all(torch.equal(state[key], found[key]) for key in state)
    assert repr(again) == repr(layer)


@pytest.mark.parametrize("name", [name for name in BUILT if LAYERS[f"nn.{name}"] not in COMPOSED])
def test_every_argument_is_tried(name: str) -> None:
    """In some build of a layer each argument differs from its default, so that one that is forgotten is noticed."""
    layer = LAYERS[f"nn.{name}"]
    signature = inspect.signature(layer)
    left = {one.name for one in signature.parameters.values() if one.default is not one.empty} - ELSEWHERE
    for _, args, given in (build for build in BUILDS if build[0] == name):
        bound = signature.bind(*args, **given).arguments
        left -= {one for one in left if one in bound and repr(bound[one]) != repr(signature.parameters[one].default)}
    assert left == ONE.get(name, set())


def test_what_was_changed_in_a_layer_is_kept(tmp_path: Path) -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    encoder.layers[1].dropout1.p = 0.4
    encoder.layers[1].norm2 = nn.RMSNorm(8)
    net = nn.Sequential(nn.Linear(3, 8), encoder)
    net[0].extra = nn.Linear(2, 2)
    wye.save(net, tmp_path / "net.safetensors")
    again = wye.load(tmp_path / "net.safetensors")
    assert again[1].layers[1].dropout1.p == 0.4
    assert isinstance(again[1].layers[1].norm2, nn.RMSNorm)
    assert torch.equal(again[0].extra.weight, net[0].extra.weight)
    assert repr(again) == repr(net)


def test_a_transformer_computes_the_same(tmp_path: Path) -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2).eval()
    x = torch.randn(3, 5, 8)
    wye.save(encoder, tmp_path / "net.safetensors")
    with torch.no_grad():
        assert torch.equal(wye.load(tmp_path / "net.safetensors")(x), encoder(x))


def test_layers_that_torch_added_are_known_or_left_out_on_purpose() -> None:
    left = """
        AdaptiveLogSoftmaxWithLoss Container DataParallel LinearCrossEntropyLoss Module NLLLoss2d ParameterDict
        ParameterList RNNBase RNNCellBase TripletMarginWithDistanceLoss
    """.split()
    found = {name for name, one in vars(nn).items() if isinstance(one, type) and issubclass(one, nn.Module)}
    known = {name.removeprefix("nn.") for name in LAYERS} - {"NonDynamicallyQuantizableLinear"}
    assert {name for name in found if not name.startswith("Lazy")} - known == set(left)
