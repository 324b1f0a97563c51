"""Devices are found by name, or refused in one line."""

import pytest
import torch

from assets import SandbotError, UsageError
from ml.device import find_device


def test_cpu_is_always_there() -> None:
    assert find_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("gpus", "kind"), [(0, "cpu"), (1, "cuda")])
def test_auto_takes_a_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, gpus: int, kind: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    assert find_device("auto").type == kind


def test_gpus_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(SandbotError, match=r"no device 'cuda:2'.*2 GPUs"):
        find_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:0", ""])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"unknown device.*auto, cpu, cuda"):
        find_device(name)
