"""`Watch`: sees what truly happens in a live run, without a forward or a random number of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from ..torch.flow.idle import STEPPED, behind_closure
from ..torch.flow.node import Node
from .account import Account, Junction, Path, Weight
from .attribute import DETACHED, LOSS, OUTPUT, Causes, Modules, Ways, title
from .callbacks import callback
from .calls import Calls
from .contexts import Batch
from .document import document, written
from .movement import Places
from .names import named_weights, within
from .report import html, renderables, table
from .roots import Roots
from .steps import Held, Look, Stepper, overflowed
from .terms import Term, Terms

OBJECTIVE = "objective:"
"""What the names of an objective's weights begin with; of the second of several, `objective:1:`."""


class Watch:
    """The account of a run, from the moment it was made until `stop`, or the end of its `with`."""

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        optimizers: Sequence[Optimizer],
        objectives: Mapping[str, nn.Module],
        every: int = 50,
        elements: int | None = 256,
    ) -> None:
        self.models, self.every, self.elements = dict(models), every, elements
        self.steps = self.skipped = 0
        self.nodes = dict(named_nodes(models, once=True))
        names: dict[nn.Parameter, list[str]] = {}
        for prefix, model in models.items():
            for name, weight in named_weights(model):
                names.setdefault(weight, []).append(f"{prefix}{name}")
        self._all = {id(one): Held(one, keys, Weight()) for one, keys in names.items()}
        measure(self._all.values())
        self.weights = {one.keys[0]: one.account for one in self._all.values()}
        self._strangers = set[int]()
        self._calls = Calls(models)
        self._roots = Roots(
            [one for name, one in models.items() if name not in objectives], objectives.values(), self._calls
        )
        self._ways, self._modules = Ways(dict(named_nodes(models, once=False))), Modules(models, self._calls)
        self._terms = {name[len(OBJECTIVE) :]: Terms(one, every) for name, one in objectives.items()}
        self._start, self._end = self._counts(), dict[str, Path]()
        self._stepped, self._places = bool(optimizers), Places(elements)
        self._by_hand = Stepper()
        self._steppers: WeakKeyDictionary[Optimizer, Stepper] = WeakKeyDictionary()
        for optimizer in optimizers:
            self._stepper(optimizer)
        self._handles = list(self._attached(optimizers))

    def _attached(self, optimizers: Sequence[Optimizer]) -> Iterator[RemovableHandle]:
        if not optimizers:
            yield register_optimizer_step_pre_hook(self._begins)
            yield register_optimizer_step_post_hook(self._ends)
        for optimizer in optimizers:
            yield optimizer.register_step_pre_hook(self._begins)
            yield optimizer.register_step_post_hook(self._ends)

    # what happens

    def _counts(self) -> dict[str, tuple[int, int]]:
        return {
            within(name, path): (count.calls, count.samples)
            for name, node in self.nodes.items()
            for path, count in node.paths.items()
        }

    def _stepper(self, optimizer: Optimizer) -> Stepper:
        """What is known of an optimizer, with its weights: groups may be added while it runs."""
        stepper = self._steppers.get(optimizer)
        if stepper is None:
            stepper = self._steppers[optimizer] = Stepper()
        sizes = tuple(len(group["params"]) for group in optimizer.param_groups)
        if stepper.sizes != sizes:
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            stepper.sizes, stepper.held = sizes, [self._all[id(one)] for one in weights if id(one) in self._all]
            if stepper.held:
                self._strangers |= {id(one) for one in weights if id(one) not in self._all}
            measure(stepper.held)
        return stepper

    def _begins(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        """Before a step; one that takes a closure has its gradients only after each call of it."""
        self._look(optimizer)
        return behind_closure(args, kwargs, lambda: self._look_again(optimizer))

    def _look_again(self, optimizer: Optimizer) -> None:
        """Within a step, after a call of its closure: what was written since it began, the step wrote itself."""
        for one in self._stepper(optimizer).held:
            one.version = one.parameter._version
        self._look(optimizer)

    def _look(self, optimizer: Optimizer) -> None:
        stepper = self._stepper(optimizer)
        if stepper.held:
            stepper.look = self._looked(stepper.held, stepper, optimizer)

    def _looked(self, held: Sequence[Held], stepper: Stepper, optimizer: Optimizer | None) -> Look:
        """The gradients as they are, why some are missing, and what the step will be compared with."""
        look = Look(held, self.every)
        if look.none or look.zero:
            self._attribute(look, stepper.since, None if optimizer is None else STEPPED.get(optimizer))
        if optimizer is not None:
            look.snap(optimizer, self._places)
        return look

    def _attribute(self, look: Look, since: int | None, tick: int | None) -> None:
        """Says why gradients are None or zero."""
        idle = self._ways.idle(None if since is None else tick)
        trails = self._roots.trails(since or 0)
        causes = Causes(idle, self._ways.deciders, self._modules, trails, since or 0)
        backward = any(one.parameter.grad is not None for one in self._all.values())
        for one in look.none:
            look.reasons.append((one, why := causes.of_none(one.parameter, one.keys, backward)))
            if why in (LOSS, OUTPUT) or DETACHED in why:
                self._roots.suspects.add(id(one.parameter))
        for one in look.zero:
            look.zero_reasons.append((one, causes.of_zero(one.parameter, one.keys)))
            self._roots.suspects.add(id(one.parameter))

    def _ends(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """After a step."""
        stepper = self._stepper(optimizer)
        look, stepper.look = stepper.look, None
        if look is None:
            return
        self._stepped = True
        if overflowed(optimizer):
            self.skipped += 1
        else:
            self._count(look, stepper, optimizer)
        self._passes(stepper)

    def step(self) -> None:
        """The end of a step by hand, where no optimizer of torch makes it; where one did, it does nothing."""
        if self._stepped:
            return
        for one in self._all.values():
            if one.parameter.grad is not None or not one.parameter.requires_grad:
                one.version = one.parameter._version  # it is the step, or the forward, that wrote into these
        self._count(self._looked(list(self._all.values()), self._by_hand, None), self._by_hand, None)
        self._ways.begin()
        self._passes(self._by_hand)

    def callback(self, framework: str) -> Any:
        """A callback for "lightning" or "keras" that calls `step` where one ends; the watch goes on after a fit.

        Raises:
            InputError: there is no such framework, or it is not installed.
        """
        return callback(framework, self.step, lambda optimizer: self._stepper(optimizer).held)

    def _count(self, look: Look, stepper: Stepper, optimizer: Optimizer | None) -> None:
        """What a step found goes into the accounts."""
        stepper.steps += 1
        self.steps = max(self.steps, stepper.steps)
        look.count()
        look.after(optimizer)
        look.move(stepper.steps - 1)

    def _passes(self, stepper: Stepper) -> None:
        """The next interval begins."""
        self._calls.now += 1
        stepper.since = self._calls.now
        # The first interval of one that has not stepped began with the watch.
        steppers = [one for one in self._steppers.values() if one.held] if self._stepped else [stepper]
        self._roots.forget(min((one.since or 0 for one in steppers), default=0))
        for terms in self._terms.values():
            terms.due(self.steps)
        for one in self._all.values():
            one.version = one.parameter._version

    # what is told

    @property
    def paths(self) -> dict[str, Path]:
        """For each way through a node, such as "deep.then", how often it ran since the watch began."""
        if self._end:
            return self._end
        return {
            name: Path(calls - self._start.get(name, (0, 0))[0], samples - self._start.get(name, (0, 0))[1])
            for name, (calls, samples) in self._counts().items()
        }

    @property
    def modules(self) -> dict[str, Path]:
        """For each module, by its first name, how often it was called in eager, and on how many samples."""
        return {run.name: Path(run.calls, run.samples) for run in self._calls.runs.values()}

    @property
    def ways(self) -> dict[tuple[str, ...], Path]:
        """For each way through a model, the innermost modules in the order in which they ran, how often it was gone."""
        return {way: Path(calls, self._calls.rows[way]) for way, calls in self._calls.ways.items()}

    @property
    def terms(self) -> Mapping[str, Term]:
        """For each term of the objective its value, its weight, and its share of the gradient, over the steps."""
        return {f"{prefix}{name}": one for prefix, terms in self._terms.items() for name, one in terms.terms.items()}

    @property
    def unseen(self) -> list[str]:
        """The modules that run in a captured graph, where hooks are not called: their runs are not known."""
        return [run.name for run in self._calls.runs.values() if run.captured]

    @property
    def account(self) -> Account:
        """All of it."""
        junctions = {
            name: Junction(title(node), tuple(node.paths), tuple(node.ways_apart()))
            for name, node in self.nodes.items()
            if node.paths
        }
        counts = self.steps, self.skipped, self.every, self.elements
        told = junctions, self.paths, self.modules, self.ways, self.unseen, len(self._strangers), self.weights
        lack = next((terms.why_not for terms in self._terms.values() if terms.why_not), "")
        contexts = {
            f"{prefix}{name}": one for prefix, terms in self._terms.items() for name, one in terms.contexts.items()
        }
        batch = sum((terms.batch for terms in self._terms.values()), Batch())
        return Account(*counts, *told, self.terms, lack, contexts, batch)

    def table(self) -> str:
        """The account as text: paths, weights, movement, then a sentence for each weight that learned otherwise."""
        return table(self.account)

    def json(self, path: str | PathLike[str] | None = None) -> str:
        """The account as JSON, as `docs/watch.md` describes it; written to a file where a path is given."""
        return written(document(self.account), path)

    def _repr_html_(self) -> str:
        return html(self.account)

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        yield from renderables(self.account)

    def __str__(self) -> str:
        return self.table()

    def stop(self) -> None:
        """Lets the run go; what was counted stays readable."""
        self._end = self._end or self.paths
        for handle in self._handles:
            handle.remove()
        for part in (self._calls, self._roots, *self._terms.values()):
            part.stop()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def measure(held: Iterable[Held]) -> None:
    """Enters the sizes of weights; a lazy layer's have none before it was first called."""
    for one in held:
        one.account.size = 0 if is_lazy(one.parameter) else one.parameter.numel()


def named_nodes(models: Mapping[str, nn.Module], once: bool) -> Iterator[tuple[str, Node]]:
    """The nodes of a flow by name; one that is held twice has its first name, or all of them."""
    for prefix, model in models.items():
        for name, module in model.named_modules(remove_duplicate=once):
            if isinstance(module, Node):
                yield f"{prefix}{name}", module


__all__ = ["Watch"]
