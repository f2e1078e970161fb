"""The house stands as drawn: imports run one way, the core knows no framework, and no file grows past one idea.

Every import counts, wherever it stands: at the top, inside a function, under TYPE_CHECKING, or spelled as
`import_module("...")` with a literal name.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[2] / "src"
FRONTS = {"torch": {"torch"}, "keras": {"keras"}}  # a front, and the frameworks it may import
FRAMEWORKS = {"torch", "keras", "tensorflow", "jax"}
VAGUE = {"utils", "util", "common", "helpers", "helper", "misc", "base"}
LONGEST = 330

# A module imports from its own row and the rows above it. A package's name covers what is inside it; `*` stands for
# each front, whose files are listed one by one. A new file of a front gets its place here.
FLOW = (
    ("wye.errors",),
    ("wye.formula",),
    ("wye.keep",),
    ("wye.*.backend", "wye.*.failures", "wye.*.large"),
    ("wye.*.kernels", "wye.*.picks", "wye.*.products", "wye.*.functions", "wye.*.structure", "wye.*.loss_kernels"),
    ("wye.*.edges", "wye.*.edge_losses", "wye.*.routing", "wye.*.renewing", "wye.*.sources", "wye.*.tiles"),
    ("wye.*.aggregators",),
    ("wye.*.table",),
    ("wye.*.front",),
    ("wye.*.making",),
    ("wye.*.evaluate", "wye.*.symbolic", "wye.*.holding", "wye.*.frozen", "wye.*.keras_layer"),
    ("wye.*.tabled", "wye.*.parts", "wye.*.layers"),
    ("wye.*.writing", "wye.*.evaluation"),
    ("wye.*.fitting",),
    ("wye.evaluation", "wye.*.losses", "wye.*.join"),
    ("wye.losses",),
    ("wye.*.objective", "wye.*.balance", "wye.*.flow", "wye.*.gate", "wye.*.width"),
    ("wye.watching", "wye.*.describing", "wye.*.save", "wye.*.keep"),
    ("wye.*",),  # the faces of the fronts
    ("wye",),
    ("wye.app",),
    ("wye.app.train",),
    ("wye.app.cli", "wye.app.__main__"),
)


class Arrow(NamedTuple):
    """One import: who, where, whom."""

    module: str
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


def modules(source: Path) -> dict[str, Path]:
    """Every module under `source` by its dotted name; a package stands for its `__init__`."""
    named: dict[str, Path] = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


def arrows(named: dict[str, Path]) -> list[Arrow]:
    """Every import in every module; `from package import name` points at the submodule if there is one."""
    return [
        Arrow(module, line, target) for module, path in named.items() for line, target in imports(module, path, named)
    ]


def imports(module: str, path: Path, named: dict[str, Path]) -> Iterator[tuple[int, str]]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        match node:
            case ast.Import(names=aliases):
                yield from ((node.lineno, alias.name) for alias in aliases)
            case ast.ImportFrom(module=written, names=aliases, level=level):
                above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                origin = ".".join([*above, *([written] if written else [])])
                for alias in aliases:
                    inner = f"{origin}.{alias.name}"
                    yield node.lineno, inner if inner in named else origin
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(str(name)), *_]):
                if called in ("import_module", "__import__"):
                    yield node.lineno, package + name if name.startswith(".") else name
            case _:
                pass


def ancestors(module: str) -> set[str]:
    """The packages around a module, itself included."""
    parts = module.split(".")
    return {".".join(parts[:length]) for length in range(1, len(parts) + 1)}


def front_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FRONTS else None


def place(module: str) -> int | None:
    """The row of FLOW a module stands in. A front and the face stand for themselves alone."""
    front = front_of(module)
    name = module.replace(f"wye.{front}", "wye.*", 1) if front else module
    alone = {"wye", "wye.*"}
    for candidate in sorted(ancestors(name), key=len, reverse=True):
        for row, rooms in enumerate(FLOW):
            if candidate in rooms and (candidate == name or candidate not in alone):
                return row
    return None


def homeless(named: dict[str, Path]) -> list[str]:
    return [f"{module} has no place: add it to FLOW" for module in named if place(module) is None]


def uphill(named: dict[str, Path]) -> list[str]:
    return [
        f"{arrow}, which stands later in the flow"
        for arrow in arrows(named)
        if (above := place(arrow.target)) is not None and (own := place(arrow.module)) is not None and above > own
    ]


def own_face(named: dict[str, Path]) -> list[str]:
    return [f"{arrow}, its own package" for arrow in arrows(named) if arrow.target in ancestors(arrow.module)]


def circles(named: dict[str, Path]) -> list[str]:
    """An import also runs the `__init__` of each package around the target, save those already running."""
    graph: dict[str, set[str]] = {module: set() for module in named}
    for module, _, target in arrows(named):
        graph[module] |= (ancestors(target) & named.keys()) - ancestors(module)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" <- ".join(error.args[1])]
    return []


def foreign(named: dict[str, Path]) -> list[str]:
    """Frameworks where none belongs: in errors, formula and keep none at all, in a front its own alone."""
    problems: list[str] = []
    for arrow in arrows(named):
        root = arrow.target.split(".")[0]
        front = front_of(arrow.module)
        core = arrow.module.startswith(("wye.formula", "wye.keep")) or arrow.module == "wye.errors"
        if root in FRAMEWORKS and (core or (front is not None and root not in FRONTS[front])):
            problems.append(f"{arrow}, a framework that is not its own")
        if front and front_of(arrow.target) not in (None, front):
            problems.append(f"{arrow}, the other front")
    return problems


def app_users(named: dict[str, Path]) -> list[str]:
    return [
        f"{arrow}, but nothing imports the app"
        for arrow in arrows(named)
        if "wye.app" in ancestors(arrow.target) and "wye.app" not in ancestors(arrow.module)
    ]


def vague(named: dict[str, Path]) -> list[str]:
    return [f"{name} names no idea" for name in named if VAGUE & {part.strip("_") for part in name.split(".")}]


def thick(named: dict[str, Path]) -> list[str]:
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in named.items()}
    return [f"{module}: {length} lines, over {LONGEST}" for module, length in lengths.items() if length > LONGEST]


LAWS = (homeless, uphill, own_face, circles, foreign, app_users, vague, thick)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_house_keeps(law):
    named = modules(SOURCE)
    assert "wye" in named, f"nothing to read under {SOURCE}"
    problems = law(named)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("law", "files", "problem"),
    [
        (homeless, {"torch/novel.py": ""}, "wye.torch.novel has no place: add it to FLOW"),
        (
            uphill,
            {"errors.py": "from .formula import grammar", "formula/grammar.py": ""},
            "wye.errors:1 imports wye.formula.grammar, which stands later in the flow",
        ),
        (
            uphill,
            {"torch/join.py": "def f():\n    from wye.torch.objective import Objective", "torch/objective.py": ""},
            "wye.torch.join:2 imports wye.torch.objective, which stands later in the flow",
        ),
        (
            uphill,
            {"app/train.py": "from . import cli", "app/cli.py": ""},
            "wye.app.train:1 imports wye.app.cli, which stands later in the flow",
        ),
        (
            own_face,
            {"formula/axes.py": "from . import Formula"},
            "wye.formula.axes:1 imports wye.formula, its own package",
        ),
        (
            circles,
            {"formula/axes.py": "from . import shapes", "formula/shapes.py": "import wye.formula.axes"},
            "wye.formula.axes <- wye.formula.shapes <- wye.formula.axes",
        ),
        (
            circles,
            {
                "keras/__init__.py": "from ..watch import observe",
                "watch/observe.py": "import wye.keras.join",
                "keras/join.py": "",
            },
            "wye.keras <- wye.watch.observe <- wye.keras",
        ),
        (
            foreign,
            {"formula/shapes.py": "def f():\n    import torch.nn"},
            "wye.formula.shapes:2 imports torch.nn, a framework that is not its own",
        ),
        (
            foreign,
            {"errors.py": "import importlib\nimportlib.import_module('jax')"},
            "wye.errors:2 imports jax, a framework that is not its own",
        ),
        (
            foreign,
            {"keras/join.py": "from torch import nn"},
            "wye.keras.join:1 imports torch, a framework that is not its own",
        ),
        (
            foreign,
            {"torch/join.py": "from ..keras.join import Join", "keras/join.py": ""},
            "wye.torch.join:1 imports wye.keras.join, the other front",
        ),
        (
            app_users,
            {"watch/report.py": "from ..app.cli import main", "app/cli.py": ""},
            "wye.watch.report:1 imports wye.app.cli, but nothing imports the app",
        ),
        (vague, {"torch/_utils.py": ""}, "wye.torch._utils names no idea"),
        (thick, {"errors.py": "x = 1\n" * 331}, "wye.errors: 331 lines, over 330"),
    ],
)
def test_a_broken_house_is_noticed(law, files, problem, tmp_path):
    for name, text in {"__init__.py": "", **files}.items():
        path = tmp_path / "wye" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert problem in law(modules(tmp_path))
