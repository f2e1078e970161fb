"""Every example of the page on flow runs and shows what it says; its links lead somewhere."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import torch

PAGE = Path(__file__).parents[2] / "docs" / "flow.md"


def test_the_examples_run_one_after_the_other() -> None:
    torch.manual_seed(0)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, str(PAGE), 0)
    assert len(blocks) >= 8
    result = doctest.DocTestRunner().run(examples)
    assert result.attempted == len(examples.examples) > 20
    assert result.failed == 0


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", PAGE.read_text())
    assert targets
    assert [target for target in targets if not PAGE.parent.joinpath(target).exists()] == []
