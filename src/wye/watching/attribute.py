"""Why a weight had no gradient: which node sent no sample its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from ..torch.flow.chain import Chain
from ..torch.flow.exiting import EarlyExit
from ..torch.flow.looping import While
from ..torch.flow.node import Node
from ..torch.flow.repeating import Repeat
from ..torch.flow.switching import RandomChoice

LOSS = "the loss does not depend on it"


def title(node: Node) -> str:
    """A node by its kind and what decides: `When control > 0.5`."""
    return f"{type(node).__name__} {node.decided_by()}".rstrip()


def words(node: Node, stage: str) -> str:
    """What a node did when a stage of it took no sample."""
    left = "let no sample leave by it" if stage.startswith("exit") else "let all samples leave before it"
    verbs = {Repeat: "ran no round of it", While: "let no sample in", EarlyExit: left, RandomChoice: "did not draw it"}
    return f"{title(node)} {next((verb for kind, verb in verbs.items() if isinstance(node, kind)), 'sent no sample')}"


def within(name: str, item: str) -> str:
    """The name of what a module holds: `deep.then`; that of a whole model is empty, or `0:`."""
    return f"{name}.{item}" if name and not name.endswith(":") else f"{name}{item}"


class Ways:
    """The ways that lead to weights, and how many samples had gone each way at an optimizer's last step.

    Args:
        nodes: the nodes by name; one that is held twice has two names.
    """

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.ways: list[tuple[str, Node, str]] = []
        self.deciders: dict[str, str] = {}
        for name, node in nodes.items():
            if not isinstance(node, Chain):
                self.ways += [(f"{within(name, stage)}.", node, stage) for stage in node.stage_names()]
            why = f"{title(node)} reads it to decide, and no gradient comes that way"
            self.deciders |= {within(name, part): why for part in node.decider_names()}
        self.start = self.samples()
        self.last: dict[int, dict[str, int]] = {}

    def samples(self) -> dict[str, int]:
        return {prefix: node.paths[stage].samples if stage in node.paths else 0 for prefix, node, stage in self.ways}

    def idle_since(self, who: int) -> dict[str, str]:
        """For each way that took no sample since this optimizer's last step, why."""
        now, before = self.samples(), self.last.get(who, self.start)
        self.last[who] = now
        return {prefix: words(node, stage) for prefix, node, stage in self.ways if now[prefix] == before[prefix]}

    def reason(self, keys: Sequence[str], weight: nn.Parameter, idle: Mapping[str, str]) -> str:
        """Why a weight, under all the names that it goes by, has no gradient."""
        if not weight.requires_grad:
            return "it does not require one"
        whys = [self._why(key, idle) for key in keys]
        return LOSS if None in whys else str(whys[0])

    def _why(self, key: str, idle: Mapping[str, str]) -> str | None:
        # An idle node further out explains an idle one inside it.
        for prefix in sorted(idle, key=len):
            if key.startswith(prefix):
                return idle[prefix]
        return next((why for name, why in self.deciders.items() if key == name or key.startswith(f"{name}.")), None)
