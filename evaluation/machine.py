"""What a result was measured on, in one line; it names no person and no host."""

import os
import platform
import sys
from pathlib import Path


def machine() -> str:
    """Processor, number of cores and operating system."""
    if sys.platform == "linux":
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    system = f"{platform.system()} {platform.machine()}"
    return f"{_processor()}, {cores} core{'s' * (cores != 1)}, {system}"


def _processor() -> str:
    """The processor's name as people know it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
