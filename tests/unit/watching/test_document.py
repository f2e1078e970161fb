"""The JSON of the account, against its schema; numbers in it against the account."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from torch import Tensor, nn

import wye

SCHEMA: dict[str, Any] = json.loads(files("wye.watching").joinpath("watch.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


class Forked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.deep, self.last = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.last(self.deep(h) if x.sum() > 0 else h)


def of_nodes() -> Any:
    net = wye.Chain(
        nn.Linear(2, 2),
        deep=wye.When("control > 0.5", nn.Linear(2, 2)),
        loop=wye.While("norm(x) < 1", nn.Linear(2, 2), max_steps=2),
        depth=wye.Repeat([nn.Linear(2, 2), nn.Linear(2, 2)], "die(0, 2)"),
        last=nn.Linear(2, 1),
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1, weight_decay=0.1)
    with wye.watch(net, optimizer, every=2, elements=None) as seen:
        for control in (0.0, 1.0, 0.0, 1.0, 0.0):
            optimizer.zero_grad()
            net(torch.ones(4, 2), control=control).sum().backward()
            optimizer.step()
    return seen


def of_a_plain_module() -> Any:
    net = Forked()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    with wye.watch(net, optimizer, every=1) as seen:
        for sign in (1.0, -1.0, 1.0, 0.0):
            optimizer.zero_grad(set_to_none=sign != 0.0)
            (net(torch.full((3, 2), sign)).sum() * sign).backward()
            optimizer.step()
    return seen


def of_gradients_that_are_not_finite() -> Any:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    with wye.watch(net, optimizer, every=1) as seen:
        for bad in (1.0, math.inf, math.nan, 1.0):
            optimizer.zero_grad()
            (net(torch.ones(3, 2)).sum() * bad).backward()
            optimizer.step()
    return seen


def of_an_optimizer_that_no_replay_knows() -> Any:
    net = nn.Linear(2, 1)
    optimizer = torch.optim.Adafactor(net.parameters())
    with wye.watch(net, optimizer) as seen:
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.ones(3, 2)).sum().backward()
            optimizer.step()
    return seen


def of_steps_by_hand() -> Any:
    net = Forked()
    with wye.watch(net) as seen:
        for sign in (1.0, -1.0):
            net.zero_grad()
            net(torch.full((3, 2), sign)).sum().backward()
            seen.step()
    return seen


def of_an_objective() -> Any:
    net = nn.Linear(2, 1)
    loss = wye.Objective("near + 0.1 * size", near="mse(y, target)", size="mean(mask * y ** 2)", mask=torch.ones(3, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with wye.watch(net, optimizer, loss, every=1) as seen:
        for bad in (1.0, math.nan, 1.0):
            optimizer.zero_grad()
            loss(y=net(torch.ones(3, 2)), target=torch.full((3, 1), bad))[0].backward()
            optimizer.step()
    return seen


def of_nothing_yet() -> Any:
    with wye.watch(nn.Linear(1, 1)) as seen:
        return seen


RUNS: list[Callable[[], Any]] = [
    of_nodes,
    of_a_plain_module,
    of_gradients_that_are_not_finite,
    of_an_optimizer_that_no_replay_knows,
    of_steps_by_hand,
    of_an_objective,
    of_nothing_yet,
]


def test_the_schema_is_one_and_leaves_nothing_open() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    told = [part for part in parts(SCHEMA) if "properties" in part]
    assert len(told) > 8
    for part in told:
        assert part["additionalProperties"] is False
        assert set(part["required"]) == part["properties"].keys()
        assert all(
            "description" in one or one.get("$ref", "").startswith("#/$defs/") for one in part["properties"].values()
        )


def parts(schema: Any) -> list[dict[str, Any]]:
    """All schemas within a schema."""
    if isinstance(schema, list):
        return [part for one in schema for part in parts(one)]
    return [schema, *(part for one in schema.values() for part in parts(one))] if isinstance(schema, dict) else []


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
def test_every_account_keeps_to_the_schema(run: Callable[[], Any], tmp_path: Path) -> None:
    seen = run()
    text = seen.json(tmp_path / "seen.json")
    assert (tmp_path / "seen.json").read_text(encoding="utf-8") == text == seen.json()
    told = json.loads(text, parse_constant=refuse)
    VALIDATOR.validate(told)
    assert told["steps"] == seen.steps
    assert told["weights"].keys() == seen.weights.keys()
    for key, weight in seen.weights.items():
        one = told["weights"][key]
        for name in ("none", "zero", "nonzero", "steps", "moved_without", "written", "size", "looked"):
            assert type(one[name]) is int
            assert one[name] == getattr(weight, name)
        assert one["none"] == sum(one["reasons"].values())
        assert one["zero"] == sum(one["zero_reasons"].values())
        for name in ("moved", "by_gradient", "by_momentum", "by_decay"):
            number = getattr(weight, name)
            assert one[name] == (number if number is not None and math.isfinite(number) else None)
    for place, runs in (("paths", seen.paths), ("modules", seen.modules)):
        assert told[place] == {name: {"calls": run.calls, "samples": run.samples} for name, run in runs.items()}
        assert all(type(count) is int for run in told[place].values() for count in run.values())
    assert {tuple(way["modules"]): way["calls"] for way in told["ways"]} == {w: n.calls for w, n in seen.ways.items()}
    assert {name: [two["is"] for two in term["value"]] for name, term in told["terms"].items()} == {
        name: [value if math.isfinite(value) else None for _, (value,) in term.value]
        for name, term in seen.terms.items()
    }


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_the_runs_say_what_they_are_made_to_say() -> None:
    """So that the schema is held against nodes, ways, nulls, terms and contexts, not against empty places alone."""
    told = {run.__name__: json.loads(run().json()) for run in RUNS}
    nodes = told["of_nodes"]
    assert nodes["nodes"]["deep"]["title"] == "When control > 0.5"
    assert nodes["nodes"]["deep"]["apart"]
    assert nodes["paths"]["deep.then"] == {"calls": 2, "samples": 8}
    assert nodes["elements"] is None
    assert nodes["weights"]["deep.then.weight"]["none"] == 3
    assert nodes["weights"]["last.weight"]["by_decay"] > 0
    assert [one["step"] for one in nodes["weights"]["last.weight"]["movement"]] == [0, 1, 2, 4]
    plain = told["of_a_plain_module"]
    assert len(plain["ways"]) == 2
    assert plain["weights"]["deep.weight"]["zero"] == 1
    broken = told["of_gradients_that_are_not_finite"]["weights"]["0.weight"]
    assert (broken["nonzero"], broken["moved"], broken["by_gradient"]) == (4, None, None)
    unknown = told["of_an_optimizer_that_no_replay_knows"]["weights"]["weight"]
    assert unknown["moved"] > 0
    assert (unknown["by_gradient"], unknown["by_momentum"], unknown["by_decay"]) == (None, None, None)
    assert unknown["movement"] == []
    assert told["of_steps_by_hand"]["weights"]["first.weight"]["moved"] is None
    terms = told["of_an_objective"]
    assert terms["terms"]["near"]["value"][1]["is"] is None
    assert terms["contexts"]["mask"] == {"shape": [3, 1], "dtype": "float32", "bytes": 12}
    assert terms["batch"]["entries"] == 6


BREAKS: dict[str, Callable[[Any], None]] = {
    "a count that is no integer": lambda told: told["weights"]["last.weight"].update(none=0.5),
    "a negative count": lambda told: told["paths"]["deep.then"].update(samples=-1),
    "a key that is not known": lambda told: told["weights"]["last.weight"].update(extra=1),
    "a key that is missing": lambda told: told["weights"]["last.weight"].pop("moved"),
    "a part that is missing": lambda told: told.pop("unseen"),
    "another kind of document": lambda told: told.update(wye="model"),
    "another format": lambda told: told.update(format=2),
    "a reason that never was": lambda told: told["weights"]["last.weight"]["reasons"].update(why=0),
    "a negative length": lambda told: told["weights"]["last.weight"].update(by_decay=-1.0),
    "a way without its modules": lambda told: told["ways"][0].pop("modules"),
    "a node with a key too many": lambda told: told["nodes"]["deep"].update(kind="When"),
    "a text for a number": lambda told: told["weights"]["last.weight"]["movement"][0].update(gradient="0.1"),
    "a term without its end": lambda told: told["terms"].update(
        ce={"since": 0, "value": [], "weight": [], "share": []}
    ),
    "a context without a shape": lambda told: told["contexts"].update(mask={"dtype": "float32", "bytes": 4}),
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_broken_document_is_refused(what: str) -> None:
    whole = json.loads(of_nodes().json())
    broken = copy.deepcopy(whole)
    BREAKS[what](broken)
    assert VALIDATOR.is_valid(whole)
    assert not VALIDATOR.is_valid(broken)
