"""The layers of torch that files know: the arguments that each is built from, read from its attributes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .registry import OwnTensor

NAMES = """
    Identity Linear NonDynamicallyQuantizableLinear Bilinear Embedding EmbeddingBag
    Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d Fold Unfold
    AvgPool1d AvgPool2d AvgPool3d MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d
    LPPool1d LPPool2d LPPool3d FractionalMaxPool2d FractionalMaxPool3d
    AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d
    ConstantPad1d ConstantPad2d ConstantPad3d ZeroPad1d ZeroPad2d ZeroPad3d CircularPad1d CircularPad2d CircularPad3d
    ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d
    BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d
    LayerNorm GroupNorm RMSNorm LocalResponseNorm CrossMapLRN2d
    Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout
    CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax Mish PReLU ReLU ReLU6
    RReLU SELU SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink Softsign Tanh Tanhshrink Threshold
    RNN LSTM GRU RNNCell LSTMCell GRUCell
    MultiheadAttention TransformerEncoderLayer TransformerDecoderLayer TransformerEncoder TransformerDecoder
    Transformer
    Flatten Unflatten PixelShuffle PixelUnshuffle ChannelShuffle Upsample UpsamplingBilinear2d UpsamplingNearest2d
    CosineSimilarity PairwiseDistance
    BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss GaussianNLLLoss HingeEmbeddingLoss HuberLoss
    KLDivLoss L1Loss MSELoss MarginRankingLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss
    PoissonNLLLoss SmoothL1Loss SoftMarginLoss TripletMarginLoss
    Sequential ModuleList ModuleDict
"""
LAYERS: dict[str, type[nn.Module]] = {
    f"nn.{name}": getattr(nn, name, None) or getattr(nn.modules.linear, name) for name in NAMES.split()
}
KINDS = {layer: name for name, layer in LAYERS.items()}
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
OVER_OTHERS = (*CONTAINERS, nn.TransformerEncoder, nn.TransformerDecoder, nn.Transformer)
"""Layers that have no weights but those of the modules inside."""
ELSEWHERE = frozenset(
    "self device dtype size_average reduce min_value max_value _weight _freeze _random_samples process_group".split()
)
"""Arguments that say nothing of the layer itself: where its weights are, old spellings, and first values of weights."""
RECURRENT = "input_size hidden_size num_layers bias batch_first dropout bidirectional".split()
Child = Callable[[str], nn.Module]
"""Gives a module inside by its path from here."""


def arguments_of(layer: nn.Module) -> dict[str, Any]:
    """What a layer of torch would be built from to be as it is now.

    Args:
        layer: of a class in LAYERS.
    """
    read = READ.get(type(layer))
    if read is not None:
        return read(layer)
    if isinstance(layer, CONTAINERS):
        return {}
    parameters = inspect.signature(type(layer).__init__).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [one.name for one in parameters if one.kind in plain and one.name not in ELSEWHERE]
    return {name: _argument(layer, name) for name in names}


def _argument(layer: nn.Module, name: str) -> Any:
    """An attribute; of a bias that is a weight, whether it is there."""
    value = getattr(layer, name)
    if name == "bias" and (value is None or isinstance(value, nn.Parameter)):
        return value is not None
    if isinstance(value, torch.Size):
        return tuple(value)
    return OwnTensor(name) if isinstance(value, Tensor) else value


def built(kind: str, settings: Mapping[str, Any], holds: Callable[[str], int], child: Child) -> nn.Module:
    """A layer of torch from its arguments; its weights are still to come, and it is built on no device.

    Args:
        kind: its name in LAYERS.
        settings: what `arguments_of` says.
        holds: how many modules a module inside has, by its path.
        child: see `Child`.
    """
    layer = LAYERS[kind]
    if layer is nn.Transformer:
        return nn.Transformer(**settings, custom_encoder=child("encoder"), custom_decoder=child("decoder"))
    if layer in (nn.TransformerEncoder, nn.TransformerDecoder):
        given = dict(settings)
        norm = child("norm") if given.pop("norm") else None
        stack = cast(Any, layer)(child("layers.0"), 1, norm=norm, **given)  # the others are put in from the file
        stack.num_layers = holds("layers")
        return stack
    return layer(**settings)


def _recurrent(layer: nn.Module) -> dict[str, Any]:
    names = [*RECURRENT, *({nn.LSTM: ["proj_size"], nn.RNN: ["nonlinearity"]}.get(type(layer), []))]  # type: ignore[call-overload]
    return {name: getattr(layer, name) for name in names}


def _attention(layer: nn.Module) -> dict[str, Any]:
    found = cast(nn.MultiheadAttention, layer)
    names = "embed_dim num_heads dropout add_zero_attn kdim vdim batch_first".split()
    biases = {"bias": found.in_proj_bias is not None, "add_bias_kv": found.bias_k is not None}  # pyright: ignore[reportUnnecessaryComparison]
    return {**{name: getattr(found, name) for name in names}, **biases}


def _transformer_layer(layer: nn.Module) -> dict[str, Any]:
    found = cast(nn.TransformerEncoderLayer, layer)
    names: dict[Any, str] = {F.relu: "relu", F.gelu: "gelu"}
    inner = {name: getattr(found, name, None) for name in ("self_attn", "linear1", "dropout", "norm1")}

    def told(name: str, attribute: str, otherwise: Any) -> Any:
        """An attribute of a module inside; of one that was put in its place it does not matter what it was."""
        return getattr(inner[name], attribute, otherwise)

    return {
        "d_model": told("self_attn", "embed_dim", 1),
        "nhead": told("self_attn", "num_heads", 1),
        "dim_feedforward": told("linear1", "out_features", 1),
        "dropout": told("dropout", "p", 0.0),
        "activation": names.get(found.activation, found.activation),
        "layer_norm_eps": told("norm1", "eps", 1e-5),
        "batch_first": told("self_attn", "batch_first", False),
        "norm_first": found.norm_first,
        "bias": getattr(inner["linear1"], "bias", None) is not None,
    }


def _transformer(layer: nn.Module) -> dict[str, Any]:
    encoder = {name: getattr(layer, name) for name in ("enable_nested_tensor", "mask_check") if hasattr(layer, name)}
    return {"norm": layer.norm is not None, **encoder}  # pyright: ignore[reportUnnecessaryComparison]


def _transformer_of_both(layer: nn.Module) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in ("d_model", "nhead", "batch_first")}


def _distance(layer: nn.Module) -> dict[str, Any]:
    return {"p": layer.norm, "eps": layer.eps, "keepdim": layer.keepdim}


READ: dict[type[nn.Module], Callable[[nn.Module], dict[str, Any]]] = {
    **dict.fromkeys((nn.RNN, nn.LSTM, nn.GRU), _recurrent),
    nn.MultiheadAttention: _attention,
    **dict.fromkeys((nn.TransformerEncoderLayer, nn.TransformerDecoderLayer), _transformer_layer),
    **dict.fromkeys((nn.TransformerEncoder, nn.TransformerDecoder), _transformer),
    nn.Transformer: _transformer_of_both,
    nn.PairwiseDistance: _distance,
}
"""Layers whose arguments are not their attributes."""
