"""Why a weight had no gradient, or a gradient of zeros: one sentence for each step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch import nn

from ..torch.flow.chain import Chain
from ..torch.flow.counts import CLOCK, Count
from ..torch.flow.exiting import EarlyExit
from ..torch.flow.looping import While
from ..torch.flow.node import Node
from ..torch.flow.repeating import Repeat
from ..torch.flow.switching import RandomChoice
from ..torch.join import Frozen, Join
from .calls import Calls
from .names import named_modules, within
from .trail import EMPTY, Trail

LOSS = "the loss does not depend on it"
OUTPUT = "the model's output does not depend on it: what it gave was detached, or not used"
DETACHED = "was detached before"
BACKWARD = "no backward reached the model"
FROZEN = "it does not require one"
LEFT = "zeros were left by zero_grad(set_to_none=False), and no new gradient came"
MADE_ZERO = ("a product with zeros", "`where`", "a mask")
"""Causes that a branch would do without."""
UNSEEN = "where it became zero was not looked into"


def title(node: Node) -> str:
    """A node by its kind and what decides: `When control > 0.5`."""
    return f"{type(node).__name__} {node.decided_by()}".rstrip()


def words(node: Node, stage: str) -> str:
    """What a node did when a stage of it took no sample."""
    left = "let no sample leave by it" if stage.startswith("exit") else "let all samples leave before it"
    verbs = {Repeat: "ran no round of it", While: "let no sample in", EarlyExit: left, RandomChoice: "did not draw it"}
    return f"{title(node)} {next((verb for kind, verb in verbs.items() if isinstance(node, kind)), 'sent no sample')}"


class Ways:
    """The ways through nodes that lead to weights, and which of them took no sample for a while.

    Args:
        nodes: the nodes by name; one that is held twice has two names.
    """

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.ways: list[tuple[str, Node, str]] = []
        self.deciders: dict[str, str] = {}
        self.start: dict[int, tuple[int, int]] = {}
        for name, node in nodes.items():
            if not isinstance(node, Chain):
                self.ways += [
                    (f"{within(name, stage)}.", node, stage) for stage in node.stage_names() if stage in node.paths
                ]
            why = f"{title(node)} reads it to decide, and no gradient comes that way"
            self.deciders |= {within(name, part): why for part in node.decider_names()}
        self.begin()

    def begin(self) -> None:
        """An interval begins of which no optimizer tells."""
        for _, node, stage in self.ways:
            count = node.paths[stage]
            self.start[id(count)] = count.last, count.samples

    def idle(self, since: int | None) -> dict[str, str]:
        """For each way that took no sample from which a gradient could come since that time, why.

        Args:
            since: when the optimizer last stepped, on the clock of the counts; None: the watch began after that.
        """
        return {
            prefix: words(node, stage) for prefix, node, stage in self.ways if not self._ran(node.paths[stage], since)
        }

    def _ran(self, count: Count, since: int | None) -> bool:
        if since is not None:
            return count.last >= since
        last, samples = self.start[id(count)]
        return count.last > last or (count.last == CLOCK.now and count.samples > samples)


class Modules:
    """The modules by name, and what their hooks saw of them.

    Args:
        models: the models by prefix.
        calls: what the hooks saw.
    """

    def __init__(self, models: Mapping[str, nn.Module], calls: Calls) -> None:
        self.named: dict[str, nn.Module] = {
            f"{prefix}{name}": module
            for prefix, model in models.items()
            for name, module in named_modules(model, remove_duplicate=False)
        }
        self.calls = calls
        self._chains: dict[str, list[tuple[str, nn.Module]]] = {}

    def chain(self, key: str) -> list[tuple[str, nn.Module]]:
        """The modules around a weight, the outermost first."""
        if key not in self._chains:
            self._chains[key] = self._chain(key)
        return self._chains[key]

    def _chain(self, key: str) -> list[tuple[str, nn.Module]]:
        places = [place for place, letter in enumerate(key) if letter in ".:"]
        names = dict.fromkeys(["", *(key[: place + (key[place] == ":")] for place in places)])
        return [(name, self.named[name]) for name in names if name in self.named]

    def active(self, since: int) -> set[str]:
        """The modules inside which something ran: a list's layers are called one by one, past the list itself."""
        ran = [run.name for run in self.calls.runs.values() if max(run.taught, run.empty, run.off) >= since]
        return {around for name in ran for around, _ in self.chain(f"{name}.")}

    def missed(self, key: str, since: int, active: set[str]) -> str | None:
        """Why no gradient can have come from the modules around a weight; None: it may have."""
        runs = [(n, m, self.calls.runs[id(m)]) for n, m in self.chain(key) if id(m) in self.calls.runs]
        if any(run.captured for _, _, run in runs) or not any(run.calls or n in active for n, _, run in runs):
            return None  # it may have run in a captured graph, where nobody saw it
        for name, module, run in runs:
            if name in active and not run.calls and module is not runs[-1][1]:
                continue
            if isinstance(module, Frozen):
                return f"{called(name)} is frozen"
            if run.taught < since and run.empty < since:
                if run.off >= since:
                    return f"{called(name)} ran with gradients off"
                return self._unread(name) or f"{called(name)} did not run"
        return None

    def _unread(self, name: str) -> str | None:
        """A part that a formula does not call."""
        around, _, part = name.rpartition(".")
        join = self.named.get(around)
        if isinstance(join, Join) and join.code and part not in getattr(join.formula, "calls", (part,)):
            return f"the formula {join.formula} does not read it"
        return None

    def cut(self, key: str, since: int) -> str | None:
        """Where what the modules around a weight gave was detached, the innermost first."""
        for name, module in reversed(self.chain(key)):
            run = self.calls.runs.get(id(module))
            time, where = self.calls.cut.get(run.name, (-1, "")) if run else (-1, "")
            if time >= since:
                return f"what {called(name)} gave {DETACHED} {where}"
        return None

    def empty(self, key: str, since: int) -> bool:
        """Whether the module of a weight ran, and on no samples."""
        runs = [self.calls.runs[id(module)] for _, module in self.chain(key) if id(module) in self.calls.runs]
        return bool(runs) and runs[-1].empty >= since and runs[-1].taught < since


def called(name: str) -> str:
    """A module in a sentence."""
    if name and not name.endswith(":"):
        return f"`{name}`"
    return f"the {name[:-1].replace(':', ' ')}" if name.startswith("objective:") else f"the model {name[:-1]}".rstrip()


class Causes:
    """The causes of one step of one optimizer; asked only where there was no gradient, or zeros."""

    def __init__(
        self,
        idle: Mapping[str, str],
        deciders: Mapping[str, str],
        modules: Modules,
        trails: Sequence[Trail],
        since: int,
    ) -> None:
        self.idle, self.deciders, self.modules, self.trails, self.since = idle, deciders, modules, trails, since
        self.active = modules.active(self.since)

    def of_none(self, weight: nn.Parameter, keys: Sequence[str], backward: bool) -> str:
        """Why a weight, under all the names that it goes by, has no gradient."""
        if not weight.requires_grad:
            return FROZEN
        whys = [self._idle(key) for key in keys]
        if None not in whys:
            return " and ".join(dict.fromkeys(map(str, whys)))
        if not backward:
            return BACKWARD
        if self.trails and not any(trail.reaches(id(weight)) for trail in self.trails):
            return next((cut for key in keys if (cut := self.modules.cut(key, self.since))), OUTPUT)
        return LOSS

    def of_zero(self, weight: nn.Parameter, keys: Sequence[str]) -> str:
        """Why the gradient of a weight is zero."""
        if not weight.requires_grad:
            return f"{LEFT}: {FROZEN}"
        ends = dict.fromkeys(end for trail in self.trails for end in trail.ends(id(weight)))
        if ends:
            return " and ".join(ends)
        whys = [self._idle(key) for key in keys]
        # Zeros that were left were written in place; a gradient that was not has just come.
        fresh = weight.grad is not None and weight.grad._version == 0
        if None not in whys:
            return UNSEEN if fresh else f"{LEFT}: {' and '.join(dict.fromkeys(map(str, whys)))}"
        if all(why or self.modules.empty(key, self.since) for key, why in zip(keys, whys, strict=True)):
            return EMPTY
        reached = [trail for trail in self.trails if trail.reaches(id(weight))]
        if fresh or not self.trails or not all(trail.follows(id(weight)) for trail in reached):
            return UNSEEN
        return f"{LEFT}: {LOSS if reached else OUTPUT}"

    def _idle(self, key: str) -> str | None:
        # An idle node further out explains an idle one inside it.
        for prefix in sorted(self.idle, key=len):
            if key.startswith(prefix):
                return self.idle[prefix]
        decides = next((why for name, why in self.deciders.items() if key == name or key.startswith(f"{name}.")), None)
        return decides or self.modules.missed(key, self.since, self.active)


def cure(why: Iterable[str]) -> str:
    """What to do about weights that move on zeros."""
    whys = list(why)
    if any(one.startswith(LEFT) for one in whys):
        return "call optimizer.zero_grad() with set_to_none=True"
    if any(cause in one for one in whys for cause in MADE_ZERO):
        return "run the layer only for samples that need it, with wye.When: its gradient is None then"
    return "set weight.grad = None before such a step, and the optimizer leaves it alone"
