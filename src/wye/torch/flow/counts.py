"""How often a path ran, and on how many samples: counted as it happens, in eager and in captured graphs alike."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

is_compiling, is_grad_enabled = torch.compiler.is_compiling, torch.is_grad_enabled
current_backward = torch._C._current_graph_task_id  # pyright: ignore[reportPrivateUsage]


class Count:
    """How often a path ran, and on how many samples.

    What runs a second time within a backward, as checkpointing does, is the same run and counted once. In a captured
    graph the counting is part of the graph, in a small tensor that is no buffer: nothing saves or broadcasts it.
    """

    def __init__(self) -> None:
        self._calls = 0
        self._samples = 0
        self._taught = 0
        self._in_graphs = torch.zeros(3, dtype=torch.int64)
        self._captured = False

    def add(self, samples: int) -> None:
        """One run on so many samples; none is no run."""
        if is_compiling():
            self._add_in_graph(samples)
            return
        if is_grad_enabled():
            self._taught += samples
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
        self._captured = True
        taught = samples if torch.is_grad_enabled() else samples * 0
        self._in_graphs.add_(torch.stack((calls, samples, taught)))

    @property
    def calls(self) -> int:
        """How often it ran."""
        return self._calls + (int(self._in_graphs[0]) if self._captured else 0)

    @property
    def samples(self) -> int:
        """On how many samples, over all runs."""
        return self._samples + (int(self._in_graphs[1]) if self._captured else 0)

    @property
    def taught(self) -> int:
        """Of these, the samples from which a gradient could come."""
        return self._taught + (int(self._in_graphs[2]) if self._captured else 0)

    def move(self, change: Callable[[Tensor], Tensor]) -> None:
        """Follows its module to another device."""
        device = change(self._in_graphs.new_empty(0)).device
        if device.type != "meta" and device != self._in_graphs.device:
            self._in_graphs = self._in_graphs.to(device)

    def __repr__(self) -> str:
        return f"Count(calls={self.calls}, samples={self.samples})"
