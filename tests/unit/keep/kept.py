"""Models to be saved, each with inputs: every module of wye with every option, each loss, and those of the examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import wye
from examples import (
    digits,
    early_exit,
    elr_noisy_labels,
    m01_two_losses,
    m03_two_modules,
    m04_intermediate_values,
    m06_layer_under_a_condition,
    m07_random_depth_distinct,
    m08_random_depth_shared,
    m09_loop_on_the_data,
    m11_adaptive_image_processing,
    m14_importance_mask,
    m15_graph_distance,
    m16_weight_per_sample,
    m17_contrastive_pair,
    m18_pair_margin,
    m19_pair_weighted_by_label,
    m20_two_towers,
    m21_dynamic_graph_or_tree,
    m22_how_weights_move,
    m23_what_the_file_holds,
    m24_never_meets_the_condition,
)
from tests.unit.loss_samples import SAMPLES

Kept = tuple[nn.Module, dict[str, Any]]
N = 6


def x(*shape: int) -> Tensor:
    return torch.randn(N, *shape)


def line(inputs: int = 4, outputs: int = 4) -> nn.Linear:
    return nn.Linear(inputs, outputs)


# joins


def join() -> Kept:
    """A part of every kind, and a formula switched to one that reads less."""
    net = wye.Join(
        "sum(y + gain * b(x) * scale - shift * warm + named * flag) + mean(rows[b, d]) * whole",
        b=line(),
        scale=nn.Parameter(torch.rand(4), requires_grad=False),
        shift=torch.arange(4),
        gain=0.30000000000000004,
        whole=2**60 + 1,
        flag=True,
        named="x ** power",
        power=3,
        warm=wye.Schedule("min(1, step / 8)"),
        rows=wye.Table(torch.rand(9, 4), by="id"),
    )
    for _ in range(3):
        net.advance()
    net.gain = float("1e-3")
    return net, {"y": x(4), "x": x(4), "id": torch.tensor([8, 0, 3, 3, 1, 2])}


def updated() -> Kept:
    """A table that was updated, and a bank whose oldest row is not the first."""
    net = wye.Join(
        "a - t + 0 * sum(bank)",
        t=wye.Table(torch.rand(9, 4), update="0.7 * t + share * softmax(a)"),
        bank=wye.Table(torch.rand(4, 4), by=None, update="2 * a"),
        share=0.3,
    )
    for ids in ([8, 0, 3, 3, 1, 2], [5]):
        net(a=torch.randn(len(ids), 4), id=torch.tensor(ids))
    return net.eval(), {"a": x(4), "id": torch.tensor([8, 0, 3, 3, 1, 2])}


def switched() -> Kept:
    net = wye.Join("a(x) + b(z)", a=line(), b=line(), strict=False)
    net.formula = "2*a( x )"
    return net, {"x": x(4), "z": x(4)}


def items() -> Kept:
    """An LSTM and an embedding, whose outputs are tuples, in formulas of several lines."""
    net = wye.Join(
        "h = lstm(embed(words))\nlast(h[0], axis=1) @ out", embed=nn.Embedding(11, 4, padding_idx=0),
        lstm=nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True), out=torch.rand(6, 2),
    )  # fmt: skip
    return net, {"words": torch.randint(11, (N, 5))}


def still() -> Kept:
    """A module, the same one without gradients, and one whose weights need none."""
    one, held = line(), line()
    held.requires_grad_(False)
    return wye.Join("one(x) + wait(x) + held(x)", one=one, wait=wye.frozen(one), held=held), {"x": x(4)}


def infinite() -> Kept:
    return wye.Join("min(x, most)", most=float("inf")), {"x": x(4)}


def objective() -> Kept:
    net = wye.Objective(
        "ce + beta * far", ce="cross_entropy(net(x), label)", far="mean(net(x) ** 2)", net=line(4, 3),
        on_nonfinite="raise",
        beta=wye.Schedule("step / 4"), strict=False,
    )  # fmt: skip
    net.advance()
    return net, {"x": x(4), "label": torch.tensor([0, 1, 2, 0, 1, 2])}


# flow


def chain() -> Kept:
    net = wye.Chain(
        line(), "relu(x[b, k]) * gain[k]", deep=wye.Chain(line(), nn.Tanh()), gate=wye.Join("x * y"), shared=("gain",)
    )
    return net[1:], {"x": x(4), "gain": torch.rand(4), "y": x(4)}


def when() -> Kept:
    """Both branches, a condition that calls a part, and one that was switched to read less."""
    score = nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))
    both = wye.When(
        "score(x) + bias > bound",
        line(),
        nn.Sequential(line(), nn.ReLU()),
        score=score,
        bias=torch.zeros(()),
        bound=0.1,
    )
    less = wye.When("norm(x) > control", line())
    less.condition = "mean(x) > 0"
    return wye.Chain(both=both, less=less), {"x": x(4), "control": torch.rand(N)}


def when_more() -> Kept:
    batch = wye.When("mean(norm(x, axis=1)) > 1", line(), per="batch")
    token = wye.When("norm(x) > 1", line(), per="token")
    coin = wye.When("coin(0.5)", line(), eval=False)
    always = wye.When(True, line())
    return wye.Chain(batch, token, coin=coin, always=always), {"x": torch.randn(N, 4)}


def when_asks_a_module() -> Kept:
    return wye.When(nn.Sequential(nn.Linear(4, 1), nn.Sigmoid(), nn.Threshold(0.5, 0.0)), line()), {"x": x(4)}


def switch() -> Kept:
    net = wye.Chain(
        wye.Switch("kind", line(), None, wye.Switch("minor", line(), line()), eval=1),
        wye.Switch("die(0, 1)", line(4, 3), line(4, 3)),
    )
    return net, {"x": x(4), "kind": torch.tensor([0, 1, 2, 0, 1, 2]), "minor": torch.tensor([0, 1, 0, 1, 0, 1])}


def repeat() -> Kept:
    """A block with rounds of its own for each sample, a list under a die, and one whose times were switched."""
    fixed = wye.Repeat([line() for _ in range(3)], "die(0, 3)", eval=2)
    fixed.times = 1
    net = wye.Chain(
        wye.Repeat(wye.Join("x + relu(a(x))", a=line()), "depth"),
        wye.Repeat([line(), line()], "die(0, 2)"),
        wye.Repeat([line()], 1),
        fixed,
    )
    return net, {"x": x(4), "depth": torch.tensor([0, 1, 2, 3, 0, 1])}


def loop() -> Kept:
    net = wye.Chain(
        wye.While("norm(x) < bound", wye.Join("1.5 * x + a(x)", a=line()), max_steps=7, bound=9.0),
        wye.While("mean(norm(x, axis=1)) < 30", wye.Join("2 * x"), max_steps=9, per="batch", on_limit="error"),
    )
    return net, {"x": x(4)}


def choice() -> Kept:
    weighted = wye.RandomChoice(line(), None, line(), weights=(1, 5, 2.5), eval=2)
    return wye.Chain(weighted, wye.RandomChoice(line(4, 2), line(4, 2))), {"x": x(4)}


def exits() -> Kept:
    net = wye.EarlyExit([line(), line(), line()], [line(4, 2), line(4, 2), line(4, 2)], until="max(softmax(x)) > sure")
    return net, {"x": x(4), "sure": torch.full((N,), 0.6)}


def all_exits() -> Kept:
    net = wye.EarlyExit([line(), line()], [line(4, 2), line(4, 2)], until="max(x) > bound", all_exits=True, bound=0.4)
    return net, {"x": x(4)}


def takes() -> Kept:
    """A layer whose masks come under another name, with a mask that all samples share."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=True, activation="gelu")
    net = wye.Chain(
        wye.Takes(layer, src_key_padding_mask="padding", src_mask="causal"), nn.LayerNorm(8), shared=("causal",)
    )
    padding = torch.zeros(N, 3, dtype=torch.bool)
    padding[:, 2] = True
    return net, {"x": x(3, 8), "padding": padding, "causal": nn.Transformer.generate_square_subsequent_mask(3).isinf()}


# what is shared, and of other kinds


def shared() -> Kept:
    """One layer in a Sequential, in two Joins of which one holds the other, and alone."""
    one = line()
    inner = wye.Join("s(x) + one(x)", s=nn.Sequential(one, nn.ReLU()), one=one)
    return wye.Join("inner(x) * one(x) + again(x)", inner=inner, one=one, again=inner), {"x": x(4)}


def tied() -> Kept:
    """An autoencoder whose decoder has the weight of its encoder, and a buffer that two Joins read."""
    encode, decode, mask = line(4, 3), nn.Linear(3, 4, bias=False), torch.rand(4)
    decode.weight = nn.Parameter(torch.rand(4, 3))
    read = nn.Embedding(4, 3)
    read.weight = decode.weight
    first, second = wye.Join("x * mask", mask=mask), wye.Join("x + mask", mask=mask)
    kept = wye.Join("x + 0 * sum(table(id))", table=read)
    net = wye.Chain(first=first, encode=encode, decode=decode, second=second, kept=kept)
    return net, {"x": x(4), "id": torch.tensor([0, 1, 2, 3, 0, 1])}


def dtypes() -> Kept:
    """Tensors of every kind that a file has."""
    kinds = (torch.float64, torch.bfloat16, torch.float16, torch.int8, torch.uint8, torch.int16, torch.int32,
             torch.bool, torch.complex64, torch.uint16, torch.float8_e4m3fn)  # fmt: skip
    parts = {f"k{place}": torch.tensor([0, 1, 1]).to(dtype) for place, dtype in enumerate(kinds)}
    return wye.Join("x + k0", **parts), {"x": torch.randn(N, 3, dtype=torch.float64)}


def resting() -> Kept:
    """Batch norms, one of them in eval within a model that trains; and dropout, in eval as well."""
    net = nn.Sequential(line(), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.BatchNorm1d(4, affine=False, momentum=None))
    net(torch.randn(32, 4))
    net[1].eval()
    net[2].eval()
    return net, {"input": x(4)}


def containers() -> Kept:
    stages = nn.ModuleDict({"left": line(), "right": nn.ModuleList([line(), nn.ReLU()])})
    return wye.Chain(nn.Sequential(line(), nn.Sequential(nn.ReLU(), line())), stages.left), {"x": x(4)}


def nothing() -> Kept:
    return wye.Join("x + 1"), {"x": x(4)}


def pictures() -> Kept:
    """A convolutional network in channels last."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding="same", bias=False), nn.GroupNorm(2, 4), nn.SiLU(),
                        nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))  # fmt: skip
    return net.to(memory_format=torch.channels_last), {"input": x(3, 8, 8)}


# losses


def losses() -> dict[str, Callable[[], Kept]]:
    """Each named loss as an Objective; of some the settings are written."""
    settings = {
        "mse": "reduction='sum'",
        "cross_entropy": "label_smoothing=0.1",
        "pair": "label_weights=(0.7, 0.3)",
        "pair_margin": "margin=0.3",
        "triplet": "swap=True",
    }
    graphs = {
        "edge_cosine_loss": lambda: (wye.Objective("edge_cosine_loss(a, g, push=0.2)", g=graph()), {"a": x(4)}),
        "edge_distance_loss": lambda: (
            wye.Objective("edge_distance_loss(a, g, n)", g=graph(nn.Parameter(torch.rand(4))), n=graph()),
            {"a": x(4)},
        ),
    }
    texts = {name: f"{name}({', '.join([*SAMPLES[name](1), settings.get(name, '')]).rstrip(', ')})" for name in SAMPLES}
    sides = {"a": x(4), "b": x(4)}
    rows = {
        "info_nce": ("info_nce(a, b, 0.5, multiply='bfloat16')", sides),
        "clip_loss": ("clip_loss(a, b, exp(t), label=label)", {**sides, "label": torch.arange(N) // 2}),
        "siglip_loss": ("siglip_loss(a, b, exp(t), bias)", sides),
        "nt_xent": ("nt_xent(a, b, 0.5)", sides),
        "sup_con": ("sup_con(a, label, 0.5, normalize=False)", {"a": x(4), "label": torch.arange(N) // 2}),
    }
    learned = {"t": nn.Parameter(torch.tensor(-0.5)), "bias": nn.Parameter(torch.tensor(-2.0))}
    graphs |= {
        name: lambda text=text, given=given: (
            wye.Objective(text, **{key: one for key, one in learned.items() if key in wye.Formula(text).names}),
            given,
        )
        for name, (text, given) in rows.items()
    }
    assert texts.keys() | graphs.keys() | {"show"} == set(wye.losses.__all__)
    plain = {f"loss_{name}": lambda name=name: (wye.Objective(texts[name]), _sample(name)) for name in texts}
    return {**plain, **{f"loss_{name}": make for name, make in graphs.items()}}


def graph(weight: Tensor | None = None) -> wye.Edges:
    return wye.Edges([[0, 1, 2, 4], [1, 2, 0, 4]], weight, num_nodes=N)


def _sample(name: str) -> dict[str, Tensor]:
    tensors = {key: torch.from_numpy(value) for key, value in SAMPLES[name](N).items()}
    return {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}


# the examples


def of_examples() -> dict[str, Callable[[], Kept]]:
    """The model and the loss of each example that has one of its own."""
    scores, label = {"logits": x(10), "label": torch.arange(N)}, torch.arange(N)
    image, control = {"x": x(64)}, torch.rand(N)
    pictures = {"picture": x(64), "image": x(64)}
    pred = {"pred": x(3), "label": x(3)}
    return {
        "m01": lambda: (m01_two_losses.network(), {"image": x(64)}),
        "m01_loss": lambda: (m01_two_losses.two_losses("max"), {**scores, **pictures}),
        "m03": lambda: (m03_two_modules.two_modules("concat"), {"x": x(10)}),
        "m04": lambda: (m04_intermediate_values.network().eval(), {"image": x(64)}),
        "m04_loss": lambda: (m04_intermediate_values.objective(), {**scores, "guess": x(10)}),
        "m06": lambda: (m06_layer_under_a_condition.network(), {"x": x(10), "control": control}),
        "m07": lambda: (m07_random_depth_distinct.network(), image),
        "m07_loss": lambda: (m07_random_depth_distinct.objective(), {"log_p": x(10), "label": label}),
        "m08": lambda: (m08_random_depth_shared.network(), image),
        "m09": lambda: (m09_loop_on_the_data.network("batch"), image),
        "m11": lambda: (m11_adaptive_image_processing.network(), {"x": torch.rand(N, 3, 8, 8)}),
        "m11_loss": lambda: (
            m11_adaptive_image_processing.objective(),
            {"x": torch.rand(N, 3, 8, 8), "scene": torch.rand(N, 3, 8, 8)},
        ),
        "m14": lambda: (m14_importance_mask.network(), {"input": x(8, 8)}),
        "m14_loss": lambda: (
            m14_importance_mask.masked_error(m14_importance_mask.middle()),
            {"pred": x(8, 8), "label": x(8, 8)},
        ),
        "m15": lambda: (
            m15_graph_distance.objective(),
            {"known": torch.tensor([0, 33]), "label": torch.tensor([0, 1])},
        ),
        "m16_loss": lambda: (m16_weight_per_sample.weighted_error(), {**pred, "w": control}),
        "m16_table": lambda: (
            m16_weight_per_sample.weighted_by_id(torch.rand(40)),
            {**pred, "id": 5 * torch.arange(N)},
        ),
        "m17": lambda: (m17_contrastive_pair.two_networks(), _rows(m17_contrastive_pair.pairs())),
        "m18": lambda: (m18_pair_margin.two_networks(), _rows(m18_pair_margin.patients())),
        "m19": lambda: (m19_pair_weighted_by_label.two_networks(), _rows(m19_pair_weighted_by_label.halves())),
        "elr_loss": lambda: (elr_noisy_labels.early_learning(40), {**scores, "id": 5 * torch.arange(N)}),
        "m20": lambda: (m20_two_towers.two_towers("label"), _glyphs()),
        "m21": lambda: (m21_dynamic_graph_or_tree.network(), image),
        "m21_shared": lambda: (m21_dynamic_graph_or_tree.network(shared=True), image),
        "m22": lambda: (m22_how_weights_move.depth_network(), image),
        "m22_coin": lambda: (m22_how_weights_move.coin_network(), {"x": x(4)}),
        "m23": lambda: (m23_what_the_file_holds.distinct(), image),
        "m23_other": lambda: (m23_what_the_file_holds.deciding(), image),
        "m24": lambda: (m24_never_meets_the_condition.network(), image),
        "early_exit": lambda: (early_exit.network(), {"x": x(1, 8, 8), "threshold": control}),
        "early_exit_loss": lambda: (early_exit.objective(), {"logits": tuple(x(10) for _ in range(4)), "label": label}),
        "digits": lambda: (digits.network(), {"x": x(1, 8, 8)}),
        "digits_loss": lambda: (digits.objective(), {**scores, "dim": x(10), "bright": x(10)}),
    }


def _glyphs() -> dict[str, Tensor]:
    data = m20_two_towers.glyphs(every=900)
    return {name: value[:N].contiguous() for name, value in data.items()}


def _rows(data: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value[:: len(value) // N][:N] for name, value in data.items()}


OWN = (
    join, switched, items, still, infinite, objective, chain, when, when_more, when_asks_a_module, switch, repeat, loop,
    choice, exits, all_exits, takes, shared, tied, dtypes, resting, containers, nothing, pictures, updated,
)  # fmt: skip
MODELS: dict[str, Callable[[], Kept]] = {**{make.__name__: make for make in OWN}, **losses(), **of_examples()}
