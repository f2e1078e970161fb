"""How often a path ran, and on how many samples: counted as it happens, in eager and in captured graphs alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

is_compiling, is_grad_enabled = torch.compiler.is_compiling, torch.is_grad_enabled
current_backward = torch._C._current_graph_task_id  # pyright: ignore[reportPrivateUsage]


class Clock:
    """Counts the steps of all optimizers, so that a count can say when it last grew."""

    def __init__(self) -> None:
        self.now = 0
        self.captures = False

    def tick(self) -> int:
        """After a step."""
        self.now += 1
        return self.now

    def capture(self) -> None:
        """From now on counts may grow within captured graphs. Dynamo runs this as it is."""
        self.captures = True

    capture._dynamo_marked_constant = True  # type: ignore[attr-defined]


CLOCK = Clock()


class Count:
    """How often a path ran, and on how many samples.

    What runs a second time within a backward, as checkpointing does, is the same run and counted once. In a captured
    graph the counting is part of the graph, in a small tensor that is no buffer: nothing saves or broadcasts it.

    Attributes:
        last: the time of the clock at its last run from which a gradient could come; -1: none yet.
        visited: the same in a captured graph, where a run on no samples counts too, for it leaves gradients of zeros.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self._calls = 0
        self._samples = 0
        self.last = -1
        self.visited = -1
        self._begin(device)

    def _begin(self, device: torch.device | None) -> None:
        """Zeros for what captured graphs will do."""
        if is_compiling():  # the tensor comes out of the graph, and what the graph wrote shows in no version
            self._in_graphs = torch.zeros(4, dtype=torch.int64, device=device)
            self._blank = self._written = -1
        else:
            with torch.inference_mode(False):  # a tensor made within it could not be written into outside
                self._in_graphs = torch.zeros(4, dtype=torch.int64, device=device)
            self._blank = self._written = 0
        self._caught_up = [0, 0]

    def add(self, samples: Any) -> None:
        """One run on so many samples; none is no run."""
        if is_compiling() or samples.__class__ is not int:  # the quickest test there is
            self._add_in_graph(samples)
            return
        if not samples:
            return
        if is_grad_enabled():
            self.last = CLOCK.now
        if current_backward() == -1:
            self._calls += 1
            self._samples += samples

    def _add_in_graph(self, samples: int | Tensor) -> None:
        number = self._in_graphs.new_ones(()) * samples
        self.add_runs((number > 0).long(), number)

    def add_runs(self, calls: Tensor, samples: Tensor) -> None:
        """Several runs at once, in a captured graph; an exported one has nobody to tell."""
        if torch.compiler.is_exporting():
            return
        CLOCK.capture()
        taught = samples if torch.is_grad_enabled() else samples * 0
        visits = torch.ones_like(samples) if torch.is_grad_enabled() else torch.zeros_like(samples)
        self._in_graphs.add_(torch.stack((calls, samples, taught, visits)))

    def catch_up(self) -> None:
        """Before a step: samples of captured graphs from which a gradient could come have come since the last one."""
        written = self._in_graphs._version
        if written == self._written:  # as most are; to read the numbers takes twenty times as long
            return
        self._written = written
        before, self._caught_up = self._caught_up, self._in_graphs[2:].tolist()
        if self._caught_up[0] != before[0]:
            self.last = CLOCK.now
        if self._caught_up[1] != before[1]:
            self.visited = CLOCK.now

    @property
    def calls(self) -> int:
        """How often it ran."""
        return self._calls + (int(self._in_graphs[0]) if self._in_graphs._version != self._blank else 0)

    @property
    def samples(self) -> int:
        """On how many samples, over all runs."""
        return self._samples + (int(self._in_graphs[1]) if self._in_graphs._version != self._blank else 0)

    @property
    def device(self) -> torch.device:
        """Where it counts what captured graphs do."""
        return self._in_graphs.device

    def move(self, change: Callable[[Tensor], Tensor]) -> None:
        """Follows its module to another device."""
        device = change(self._in_graphs.new_empty(0)).device
        if device.type != "meta" and device != self._in_graphs.device:
            self.catch_up()
            self._calls, self._samples = self.calls, self.samples
            self._begin(device)

    def __getstate__(self) -> dict[str, Any]:
        # A copy has not run yet; in another process the clock is another one.
        return {"_calls": self.calls, "_samples": self.samples, "device": self.device}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._calls, self._samples, self.last, self.visited = state["_calls"], state["_samples"], -1, -1
        self._begin(state["device"])

    def __repr__(self) -> str:
        return f"Count(calls={self.calls}, samples={self.samples})"
