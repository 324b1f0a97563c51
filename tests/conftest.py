"""Which tests may be skipped, and the list of those that were.

A skipped test proves nothing, so there are two reasons only: it needs a GPU
(``@pytest.mark.gpu``), or a peer that only runs in an environment of its own
(``@pytest.mark.peer("lerobot")``). Any other skip fails the run.
"""

import signal
import threading
from typing import Any

import pytest

GPU = "needs a GPU"
PEER = "needs an environment of its own for a peer"

_skipped: list[tuple[str, str]] = []


def pytest_configure(config: pytest.Config) -> None:
    """Declare the two marks; forget what an earlier run in this process skipped; hear
    Ctrl-C, which a script's background ignores, and some tests press."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", f"gpu: {GPU}")
    config.addinivalue_line("markers", f"peer(module): {PEER}; runs where it imports")
    _skipped.clear()


@pytest.hookimpl(optionalhook=True)  # xdist's
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files as a whole, the longest first: see :mod:`tests.schedule`."""
    if config.getoption("dist") != "load":  # another one was asked for
        return None
    from tests.schedule import Schedule

    return Schedule(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run here, for one of the two reasons."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip(GPU)
    peer = item.get_closest_marker("peer")
    if peer:
        from importlib.util import find_spec

        if find_spec(peer.args[0]) is None:
            pytest.skip(f"{PEER}: {peer.args[0]}")


def allowed(reason: str) -> bool:
    """Whether a test may be skipped for this reason."""
    return reason.removeprefix("Skipped: ").startswith((GPU, PEER))


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        text = report.longrepr
        reason = text[2] if isinstance(text, tuple) else str(text)
        _skipped.append((report.nodeid, reason))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember each skipped test (with xdist, in the main process too)."""
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Remember each file that skipped itself."""
    _note(report)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where a test was skipped for a reason that is not allowed."""
    if any(not allowed(reason) for _, reason in _skipped) and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the skipped tests, none included, and which of them must not be."""
    terminalreporter.section("skipped tests")
    if not _skipped:
        terminalreporter.write_line("none")
    for nodeid, reason in _skipped:
        verdict = "" if allowed(reason) else "  <- not an allowed reason: the run fails"
        terminalreporter.write_line(f"{nodeid}: {reason}{verdict}")
