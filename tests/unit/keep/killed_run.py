"""Kills processes while they save over a file, at seeded moments: run by `test_aside.py`.

Each child is forked from this process, in which torch is loaded already, and saves two models in turns until it is
killed. Its first save is over by then, so that every moment of a later one is as likely as any other.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from torch import nn

import wye

WIDTH = 900


def child(path: Path, models: list[nn.Module], begun: int) -> None:
    turn = 0
    while True:
        wye.save(models[turn % 2], path)
        if turn == 0:
            os.write(begun, b"x")
        turn += 1


def main(folder: Path, count: int) -> None:
    torch.set_num_threads(1)
    moments, path = random.Random(5), folder / "a.safetensors"
    models: list[nn.Module] = [nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)]
    known: dict[str, str] = {}
    for name, model in zip(("old", "new"), models, strict=True):
        wye.save(model, path)
        known[hashlib.sha256(path.read_bytes()).hexdigest()] = name
    began = time.perf_counter()
    wye.save(models[0], path)
    length = time.perf_counter() - began
    held, left = [], 0
    for _ in range(count):
        read, write = os.pipe()
        process = os.fork()
        if process == 0:
            child(path, models, write)
        os.close(write)
        os.read(read, 1)
        os.close(read)
        time.sleep(moments.uniform(0, 4 * length))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        held.append(known.get(hashlib.sha256(path.read_bytes()).hexdigest(), "lost"))
        left += any(folder.glob(".*.saving"))
    wye.save(models[0], path)
    swept = sorted(one.name for one in folder.iterdir())
    print(json.dumps({"held": held, "left": left, "swept": swept}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
