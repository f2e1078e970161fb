"""Runs the examples of the page on Keras, or the one of the README, on the backend that KERAS_BACKEND names.

`test_keras_page.py` does so in a process of its own. What does not show what the page says is printed; the last line
is how many examples there were, and how many failed.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def page() -> tuple[int, int]:
    """The examples of the page, one after the other."""
    warnings.filterwarnings("ignore", "Gradients do not exist")  # of a branch that took no sample, as the page says
    path = ROOT / "docs" / "keras.md"
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks(path)), {}, path.name, str(path), 0)
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(examples)
    return result.attempted, result.failed


def readme() -> tuple[int, int]:
    """The example of the README, on values of random batches; what it says of it holds."""
    import numpy as np

    (code,) = [block for block in blocks(ROOT / "README.md") if "wye.keras" in block]
    rows = np.random.default_rng(0)
    images, brightness = (rows.random(size=size).astype("float32") for size in ((64, 16), 64))
    names = {"images": images, "brightness": brightness, "labels": rows.integers(0, 10, 64)}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        exec(code, names)
        loss, net, wye = names["loss"], names["net"], names["wye"]
        steps = int(loss.optimizer.iterations)
        again = wye.load("net.keras")
        found = [np.array(one(images, control=brightness)) for one in (net, again)]
        os.chdir(ROOT)
    history = loss.fit({"x": images, "control": brightness, "label": names["labels"]}, verbose=0).history
    held = [
        steps == 4,
        str(loss.formula) == "ce",
        bool((found[0] == found[1]).all()),
        sorted(history) == ["ce", "loss"],
    ]
    return len(held), held.count(False)


if __name__ == "__main__":
    print(json.dumps({"page": page, "readme": readme}[sys.argv[1]]()))
