"""Reads the hostile files of a folder, watched by an audit hook and held to 1 GB and 5 s of the processor for each.

Run by `test_hostile.py`; prints what became of each file.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

import wye

GB = 2**30
SECONDS = 5
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.remove", "os.rename", "os.mkdir", "os.rmdir",
             "subprocess.Popen", "pickle.find_class", "socket.", "ctypes.", "shutil.", "marshal.",
             "import")  # fmt: skip
seen: list[str] = []
watching = False


def hook(event: str, args: tuple[Any, ...]) -> None:
    """Notes all that reading a file has no business to do."""
    if not watching:
        return
    if event.startswith(FORBIDDEN):
        seen.append(f"{event} {args[:1]}")
    elif event == "open" and (not isinstance(args[1], str | None) or set(args[1] or "r") & set("wax+")):
        seen.append(f"open {args[:2]}")
    elif event == "exec" and not args[0].co_filename.startswith("<wye"):
        seen.append(f"exec {args[0].co_filename}")


def too_long(*_: object) -> None:
    raise TimeoutError(f"over {SECONDS} s")


def outcome(read: Any, path: Path) -> str:
    """The kind of the error, and its text; `read` where there was none."""
    global watching
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    watching = True
    try:
        read(path)
    except wye.WyeError as error:
        return f"WyeError {error}"
    except BaseException as error:
        return f"{type(error).__name__} {error}"
    else:
        return "read"
    finally:
        watching = False
        signal.setitimer(signal.ITIMER_PROF, 0)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    sys.addaudithook(hook)
    signal.signal(signal.SIGPROF, too_long)
    model = wye.Chain(nn.LSTM(2, 2), wye.Join("x * 2 + t", t=wye.Schedule("step")), nn.Linear(2, 2))
    wye.save(model, folder / "good")  # loads once all that torch loads late
    readers = {
        "load": wye.load,
        "inspect": wye.inspect,
        "weights": lambda path: wye.load_weights(nn.Linear(3, 3), path),
    }
    for read in readers.values():
        outcome(read, folder / "good")
    seen.clear()
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        limit = pages * resource.getpagesize() + GB
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    found: dict[str, dict[str, str]] = {
        "good": {name: outcome(read, folder / "good") for name, read in readers.items()}
    }
    for path in sorted(folder.glob("*.safetensors")):
        found[path.stem] = {name: outcome(read, path) for name, read in readers.items()}
    print(json.dumps({"found": found, "seen": seen, "ran": [str(path) for path in Path().glob("ran")]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
