"""All cases of nodes on one front: in eager, captured, on an empty batch, and in a functional model's file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from tests.conformance.backends import Backend
from tests.conformance.flow_cases import FLOW_CASES, FlowCase, given, plainly
from tests.conformance.oracle import far, furthest, sloped, weights

Called = Callable[[dict[str, Any]], Any]


def node_cases(backend: Backend, name: str) -> Iterator[str]:
    """Each node against the plain function of single samples, and its gradients against difference quotients."""
    for case in FLOW_CASES:
        want = sloped(partial(plainly, case), given(case))
        for way in ("", *backend.captured):
            label = f"{case.name}{f' ({way})' if way else ''}"
            try:
                found, gradients = backend.sloped(called(case, name), given(case), weights, way)
            except Exception as error:
                yield f"{label}\n{type(error).__name__}: {error}"
                continue
            pairs = [(gradients[one], want.gradients[one]) for one in want.gradients]
            if far(found, want.value, backend.value) or any(far(*pair, backend.gradient) for pair in pairs):
                names = [one for one in want.gradients if far(gradients[one], want.gradients[one], backend.gradient)]
                yield f"{label}\nvalue {found}\nwanted {want.value}\n{names} off by {furthest(pairs)}"
            else:
                yield ""


def empty_nodes(backend: Backend, name: str) -> Iterator[str]:
    """Each node on no samples: no rows, of the width that samples would have, and a gradient of zero."""
    for case in FLOW_CASES:
        values = given(case, empty=True)
        for way in ("", "graph") if "graph" in backend.captured else ("",):
            label = f"{case.name}, no samples{f' ({way})' if way else ''}"
            try:
                found, gradients = backend.sloped(called(case, name), values, weights, way)
            except Exception as error:
                yield f"{label}\n{type(error).__name__}: {error}"
                continue
            still = all(np.array_equal(one, np.zeros(one.shape)) for one in gradients.values())
            yield "" if found.shape == (0, 3) and still else f"{label}\nshape {found.shape}, gradients {gradients}"


def called(case: FlowCase, name: str) -> Called:
    """The node, made anew, as a function of the tensors that it gets by name."""
    if name == "front":
        import wye

        net = case.build(wye)
        net.train(case.training)
        if case.die:
            seed, step = case.die
            net.dice.reseed(seed)
            for _ in range(step):
                net.dice.advance()
        return lambda tensors: net(**tensors)
    import wye.keras

    net = case.build(wye.keras)
    if case.die:
        net.dice.seed.assign(case.die[0])
        net.dice.steps.assign(case.die[1])
    return lambda tensors: net(**tensors, training=case.training)
