"""Every example in docstrings, README and pages runs, and the pages that are written by a command are up to date."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import re
import types
from pathlib import Path

import pytest
import torch
from torch import nn

import wye

ROOT = Path(__file__).parents[2]


def modules() -> list[str]:
    return [found.name for found in pkgutil.walk_packages(wye.__path__, "wye.") if not found.ispkg]


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found: list[doctest.DocTest] = []
    for name in modules():
        module = importlib.import_module(name)
        found += [test for test in finder.find(module, name, module=module) if test.examples]
    return found


@pytest.mark.parametrize("example", examples(), ids=lambda test: test.name)
def test_docstring(example: doctest.DocTest) -> None:
    torch.manual_seed(0)
    example.globs = {}
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
    assert result.attempted > 0
    assert result.failed == 0


def test_public_names_have_docstrings_with_examples() -> None:
    shown = {name for name in wye.__all__ if isinstance(getattr(wye, name), type | types.FunctionType)}
    silent = {name for name in shown if ">>>" not in (getattr(wye, name).__doc__ or "")}
    errors = {name for name in shown if name.endswith(("Error", "Warning"))}
    assert silent - errors <= {"Watch"}


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def test_readme_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third, _ = blocks(ROOT / "README.md", "python")  # the fourth runs on Keras: see `keras_run.py`
    w, pred, label = torch.rand(64), torch.rand(64, 10), torch.rand(64, 10)
    names = {"wye": wye, "w": w, "pred": pred, "label": label}
    value = eval(first, names)
    assert torch.allclose(value, (w[:, None] * (pred - label) ** 2).mean())
    with pytest.raises(wye.ShapeError) as told:
        wye.evaluate("mean(w * (pred - label) ** 2)", w=w, pred=pred, label=label)
    assert f"ShapeError: {told.value}\n" in (ROOT / "README.md").read_text()
    exec(second, names)
    assert names["logits"].shape == (32, 10)
    monkeypatch.chdir(tmp_path)
    exec(third, names)
    assert repr(names["again"]) == repr(names["net"])


def test_readme_diff_applies_to_a_loop_that_runs() -> None:
    (diff,) = blocks(ROOT / "README.md", "diff")
    lines = diff.splitlines()
    before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
    after = "\n".join(line[1:] for line in lines if not line.startswith("-"))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits, self.image = nn.Linear(4, 3), nn.Linear(4, 6)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"logits": self.logits(x), "image": self.image(x).reshape(-1, 2, 3)}

    totals: list[torch.Tensor] = []
    for text in (before, after):
        torch.manual_seed(0)
        net = Net()
        batch = {"x": torch.rand(5, 4), "label": torch.tensor([0, 1, 2, 0, 1]), "picture": torch.rand(5, 2, 3)}
        names = {
            "wye": wye,
            "F": nn.functional,
            "net": net,
            "mask": torch.rand(2, 3),
            "optimizer": torch.optim.Adam(net.parameters()),
            "batches": [batch] * 5,
        }
        exec(text, names)
        totals.append(names["total"])
    assert torch.allclose(totals[0], totals[1])


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "docs/language.md"])
def test_links_lead_somewhere(path: str) -> None:
    text = (ROOT / path).read_text()
    targets = re.findall(r"\]\(([^)#]+)\)", text)
    assert [target for target in targets if not (ROOT / path).parent.joinpath(target).exists()] == []


def test_language_page_formulas_are_in_the_language() -> None:
    (text, *_) = blocks(ROOT / "docs" / "language.md", "")
    x = torch.rand(4, 3, dtype=torch.float64)
    value = wye.evaluate(text, x=x, y=x)
    expected = torch.softmax(-(torch.cdist(x, x) ** 2), 1).diagonal().mean()
    assert torch.allclose(value, expected)


def test_functions_page_is_what_the_registry_says() -> None:
    path = ROOT / "docs" / "functions_page.py"
    spec = importlib.util.spec_from_file_location("functions_page", path)
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    assert (ROOT / "docs" / "functions.md").read_text() == page.page()
