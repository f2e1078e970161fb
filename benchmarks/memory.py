"""How the benchmarks measure memory: peaks of live tensors.

Memory is read from torch's own record of the CPU allocator: every allocation and release between the start of the
forward and the end of the backward, in order, whoever asked for it (saved activations, gradients, temporaries inside
an operator). The peak is the largest running sum; what existed before the start counts for nobody.
"""

from __future__ import annotations

import torch

from .timing import Run


def peak_memory(run: Run, clear: Run) -> int:
    """The most bytes that were live at once during a call, above what was live before it.

    Args:
        run: the call.
        clear: releases what the call leaves behind, so that nothing crosses the borders of the record.
    """
    clear()
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        run()
        clear()
    assert profile.profiler is not None
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    assert live == 0, "something that was allocated before was released, or the other way round"
    return peak


def warm_heap() -> None:
    """Grows the heap once, so that nobody pays for memory that the system takes back and gives again.

    glibc hands large blocks back to the system until one as large has been freed; page faults then cost whoever comes
    first. A long training run has left that behind.
    """
    large = torch.ones(31 * 2**18)
    del large
    many = [torch.ones(2**18) for _ in range(200)]
    del many
