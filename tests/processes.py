"""Processes of their own that start in a moment: to be killed, or to work together.

A new interpreter imports torch and the rest for some seconds. A fork server imports
them once, and each process is a fork of it: other packages are loaded, nothing of ours,
nothing has been drawn or computed.
"""

import multiprocessing as mp
import os
import socket
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from typing import Any

PRELOAD = (
    "torch",
    "torch.distributed",
    "accelerate",
    "mujoco",
    "gymnasium",
    "pyarrow.parquet",
    "safetensors.torch",
    "scipy.spatial",
)
"""What the server imports, of other packages alone: ours come from each one's path."""


def start(work: Callable[..., Any], *arguments: Any, **named: Any) -> ForkServerProcess:
    """A running process that calls ``work``, a function of an importable module."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    process = context.Process(target=work, args=arguments, kwargs=named)
    process.start()
    return process


def together(number: int, work: Callable[..., Any], *arguments: Any) -> list[int]:
    """Call ``work`` in processes that know of each other, as torchrun starts them.

    When one of them fails, the others are ended, as torchrun does.

    Returns:
        Exit codes, by rank; of one that was killed the signal's number below zero.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {
        "WORLD_SIZE": str(number),
        "LOCAL_WORLD_SIZE": str(number),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    running = [
        start(_ranked, common | {"RANK": str(r), "LOCAL_RANK": str(r)}, work, arguments)
        for r in range(number)
    ]
    while any(process.is_alive() for process in running):
        if any(process.exitcode for process in running):
            for process in running:
                process.terminate()
        time.sleep(0.02)
    codes = [process.exitcode for process in running]
    return [code for code in codes if code is not None]


def _ranked(
    variables: dict[str, str], work: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    os.environ.update(variables)
    work(*arguments)
