"""What every test gets: fixed seeds, and the flag that lets the long ones run."""

import random
import sys

import numpy as np
import pytest

from tests.collector import settle

SEED = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests marked `long`")


def pytest_collection_finish() -> None:
    settle()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    for item in items:
        if "long" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="takes long; run it with --long"))


@pytest.fixture(autouse=True)
def _fixed_seeds() -> None:
    """Seed Python, NumPy and whatever framework is loaded, without loading one for a test that needs none."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(SEED)
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(SEED)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(SEED)
    random.seed(SEED)
    np.random.seed(SEED)
