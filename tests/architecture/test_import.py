"""`import wye` is cheap: a framework is loaded by who uses it, and the core never loads one."""

import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "wye"
FRAMEWORKS = {"torch", "keras", "tensorflow", "jax"}


def loaded_by(*names: str) -> set[str]:
    """The top-level modules in a fresh interpreter after importing `names`."""
    code = "\n".join(
        [*(f"import {name}" for name in names), "import sys", "print(*{n.split('.')[0] for n in sys.modules})"]
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_import_wye_loads_no_framework_and_no_numpy():
    loaded = loaded_by("wye")
    assert "wye" in loaded
    assert not loaded & (FRAMEWORKS | {"numpy"})


def test_the_core_loads_no_framework():
    files = [PACKAGE / "errors.py", *PACKAGE.glob("formula/**/*.py")]
    core = [".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in files if file.exists()]
    loaded = loaded_by("wye", *(name.removesuffix(".__init__") for name in core))
    assert not loaded & FRAMEWORKS


def test_a_loaded_framework_is_seen():
    assert {"json", "numpy"} <= loaded_by("json", "numpy.linalg")
