"""What TorchLens says of the two nets. It is installed for this page only: `make field`."""

from __future__ import annotations

import contextlib
import re
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch
import torchlens
from torch import Tensor, nn
from torchlens.checks import ChecksSession
from torchlens.errors import GraphvizUnavailableError
from torchlens.fastlog import Recorder
from torchlens.trackers import MemorySink, watch

from docs.field_run import (
    ENTERS,
    SEED,
    STEPS,
    Answer,
    Coin,
    Column,
    Grow,
    Truth,
    heads_seed,
    left_alone,
    made,
    on_both,
    one_by_hand,
    optimizer_of,
    plain_run,
    same,
    silent,
    train,
)
from docs.field_tools import NETS, counted, line, one_forward, row


def trace(net: nn.Module, x: Tensor) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it warns of, its summary says too
        return torchlens.trace(net, x, capture=torchlens.options.CaptureOptions(random_seed=heads_seed()))


def summary(log: Any) -> str:
    """A summary without the paths, the line numbers and the memory of this machine."""
    kept = [one for one in str(log.summary()).splitlines() if not one.startswith(("Memory", "More"))]
    return re.sub(r"at \S*/(\w+\.py):\d+", r"at \1", "\n".join(kept))


class Told:
    """A run of one net under `torchlens.trackers.watch`: its points by signal, statistic and name.

    Args:
        kind: the net.
        signals: what is watched.
        first: the batch of the forward that activations need when the watch begins; None where they are not watched.
        again: seeds the generator after that forward, so that the run is the one that the truth tells of.
    """

    def __init__(self, kind: type[nn.Module], signals: tuple[str, ...], first: Tensor | None, again: bool) -> None:
        net, sink, now = made(kind), MemorySink(), [0]
        optimizer = optimizer_of(net)
        names = [name for name, _ in net.named_children()] if first is not None else None
        torch.manual_seed(SEED)
        session = watch(
            net,
            to=sink,
            signals=signals,
            select=names,
            example_input=first,
            optimizer=optimizer,
            step=lambda: now[0],
            every=1,
        )
        if again:
            torch.manual_seed(SEED)
        end = train(net, optimizer, before=lambda step, _: now.__setitem__(0, step))
        session.close()
        self.same = same(end, plain_run(kind))
        self.points: dict[str, dict[int, float]] = {}
        for point in sink.scalars:
            self.points.setdefault(point.tag, {})[point.step] = float(point.value)

    def norms(self, signal: str, name: str) -> dict[int, float]:
        return self.points.get(f"{signal}/norm/{name}", {})

    def right(self, truth: Truth) -> bool:
        """Whether its gradients tell on how many steps each weight had none, zeros, or others."""
        for name in truth.weights:
            found = self.norms("gradients", name).values()
            zero = sum(norm == 0 for norm in found)
            if (STEPS - len(found), zero, len(found) - zero) != (
                truth.none[name],
                truth.zero[name],
                truth.nonzero[name],
            ):
                return False
        return True

    def moved(self, truth: Truth) -> bool:
        """Whether its updates have the size of the true ones, on every step."""
        return all(
            abs(self.norms("updates", name).get(step, -1.0) - float(move.norm())) < 1e-4
            for name, moves in truth.moved.items()
            for step, move in enumerate(moves)
        )

    def one(self, signal: str) -> tuple[str, str]:
        """The series of the loop's weight, and what it holds."""
        norms = list(self.norms(signal, "mid.weight").values())
        return f"{signal}/norm/mid.weight", f"{len(norms)} points, {norms.count(0.0)} of them 0"

    def without(self, name: str) -> int:
        """The steps on which an update is there, and no gradient."""
        gradients = self.norms("gradients", name)
        return sum(norm > 0 and not gradients.get(step) for step, norm in self.norms("updates", name).items())

    def calls(self, name: str, size: int) -> int:
        """How often a layer ran, from the elements that it gave."""
        return int(sum(self.points.get(f"activations/count/{name}", {}).values())) // size


def recorded(kind: type[nn.Module], seed: int | None) -> tuple[list[tuple[str, ...]], bool]:
    """The run with `Recorder.log` as what calls the net: the layers of each step, and whether it is the same run."""
    net = made(kind)
    torch.manual_seed(SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Recorder(net, save=torchlens.func("linear"), backward_ready=True, random_seed=seed) as recorder:
            end = train(net, optimizer_of(net), forward=recorder.log)
    ways: dict[int, list[str]] = {}
    for record in recorder.recording.records:
        if record.ctx.kind == "op" and record.ctx.func_name == "linear":
            ways.setdefault(record.ctx.pass_index, []).append(str(record.ctx.address))
    return [tuple(way) for _, way in sorted(ways.items())], same(end, plain_run(kind))


def checked() -> str:
    """What the training checks say first of `heads.weight`."""
    net = made(Coin)
    optimizer = optimizer_of(net)
    session = ChecksSession(net, optimizer)
    session.register_change_check(window=(1, 1), action="collect")
    torch.manual_seed(SEED)
    with session:
        train(net, optimizer)
    found = session.report().findings
    return next(one.message for one in found if "heads.weight" in one.names and "no gradient" in one.message)


def draws(log: Any) -> bool:
    """Whether it draws: a file, or its source where Graphviz is not there to set it."""
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(GraphvizUnavailableError):
            log.draw(vis_outpath=f"{folder}/graph", vis_save_only=True)
        return any(file.stat().st_size for file in Path(folder).iterdir())


def forward_answers(excerpts: list[tuple[str, str]]) -> dict[str, Answer]:
    """The questions about one forward."""
    heads, enters, passes = one_forward(lambda net, x: summary(trace(net, x)))
    excerpts += [("the coin on heads", heads), ("a batch that never enters the loop", passes)]
    rounds = one_by_hand(Grow, ENTERS).count("mid")
    net = made(Coin)
    log = trace(net, ENTERS)
    dynamic = f"but `is_dynamic_graph` of the loop is {trace(made(Grow), ENTERS).is_dynamic_graph}"
    kept = torch.equal(log["linear_1_1"].out, net.get_submodule("heads")(ENTERS))
    return {
        "ran": Answer("yes" if row(heads, "heads (Linear)") else "no", row(heads, "heads (Linear)")),
        "idle": Answer("yes" if row(heads, "tails [never ran]") else "no", row(heads, "tails")),
        "parameters": Answer("yes" if "5 never ran: tails" in heads else "no", line(heads, "Params ")),
        "rounds": Answer("yes" if f"x{rounds} passes" in row(enters, "mid") else "no", row(enters, "mid")),
        "never": Answer("yes" if row(passes, "mid [never ran]") else "no", row(passes, "mid")),
        "alone": Answer(
            "yes" if left_alone(lambda net: trace(net, ENTERS)) else "no", "", "it puts the generator back"
        ),
        "shapes": Answer("yes" if "(2, 1)" in row(heads, "heads") else "no", row(heads, "heads")),
        "operations": Answer("yes" if "FLOPs fwd" in enters else "no", line(enters, "Compute")),
        "functions": Answer("yes" if row(enters, "relu") and row(enters, "lt_1") else "no", row(enters, "relu")),
        "picture": Answer("yes" if draws(log) else "no", "log.draw()"),
        "kept": Answer("yes" if kept else "no", 'log["linear_1_1"].out'),
        "decided": Answer("partly" if "scalar_escape" in enters else "no", line(enters, "scalar_escape"), dynamic),
    }


def run_answers(coin: Truth, grow: Truth, excerpts: list[tuple[str, str]]) -> dict[str, Answer]:
    """The questions about the run."""
    told = [Told(kind, ("gradients", "updates"), None, False) for kind in NETS]
    acts = [Told(kind, ("activations",), ENTERS, True) for kind in NETS]
    drawn = Told(Coin, ("activations",), ENTERS, False)
    (coin_ways, coin_same), (grow_ways, grow_same) = (recorded(kind, heads_seed()) for kind in NETS)
    coin_calls = Counter({name: acts[0].calls(name, 8) for name in ("heads", "tails")})
    grow_calls = Counter({name: acts[1].calls(name, 8 if name == "last" else 32) for name in ("first", "mid", "last")})
    coin_same = recorded(Coin, None)[1] or coin_same
    why, without = checked(), {name: told[1].without(name) for name in grow.weights}
    points = [
        f"{tag} {step} {told[1].points[tag][step]:.4f}" if step in told[1].points[tag] else f"{tag} {step} -"
        for tag in ("gradients/norm/mid.weight", "updates/norm/mid.weight")
        for step in range(5)
    ]
    excerpts.append(("the first steps of the loop's weight, by `trackers.watch`: step, norm", "\n".join(points)))
    names = " ".join(told[0].points)
    return {
        "calls": on_both(
            coin_calls == coin.calls,
            grow_calls == grow.calls,
            "activations/count/mid",
            f"`watch` hears the layers that ran in the forward with which it begins: "
            f"coin {shown(coin_calls)}; loop {shown(grow_calls)}",
        ),
        "ways": on_both(
            coin_ways == coin.ways,
            grow_ways == grow.ways,
            "Recorder.log",
            f"it seeds each forward by itself: with `random_seed`, coin {counted(coin_ways)}",
        ),
        "gradients": on_both(told[0].right(coin), told[1].right(grow), *told[1].one("gradients")),
        "why": Answer(
            "yes" if "`heads` did not run" in why else "partly" if "untaken branches" in why else "no",
            why[why.find("Legitimate") : why.find(" -- the window")],
            "`ChecksSession` lists what may be",
        ),
        "moved": on_both(told[0].moved(coin), told[1].moved(grow), *told[1].one("updates")),
        "without": Answer(
            "yes" if without == {name: grow.moved_without[name] for name in grow.weights} else "no",
            "updates/norm/mid.weight",
            f"above 0 on {without['mid.weight']} steps on which `gradients/norm/mid.weight` is 0",
        ),
        "split": silent(names, "momentum", "decay"),
        "bits": Answer(
            "yes" if all([told[0].same, told[1].same, drawn.same, coin_same, grow_same]) else "partly",
            "",
            f"`watch` of gradients and updates: {agrees(told[0].same and told[1].same)}; of activations, coin: "
            f"{agrees(drawn.same)}; `Recorder`, coin: {agrees(coin_same)}, loop: {agrees(grow_same)}",
        ),
    }


def agrees(yes: bool) -> str:
    return "the same" if yes else "another run"


def shown(calls: Counter[str]) -> str:
    return ", ".join(f"{name} {calls[name] or 'unheard'}" for name in sorted(calls))


def column(coin: Truth, grow: Truth) -> Column:
    excerpts: list[tuple[str, str]] = []
    answers = forward_answers(excerpts) | run_answers(coin, grow, excerpts)
    return Column("TorchLens", torchlens.__version__, answers, excerpts)
