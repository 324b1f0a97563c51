"""The two kinds of error a person sees, and how an unknown name is reported.

Every message says what was given, what is allowed and the way out. The command line
prints the message alone, without a traceback, and turns the class into an exit code:
2 for :class:`UsageError` (the call was wrong), 1 for any other :class:`SandbotError`
(the call was right and could not be done). Anything else is a bug of ours, and keeps
its traceback.
"""

import difflib
from collections.abc import Iterable


class SandbotError(Exception):
    """What was asked for is well formed and could not be done. Exit code 1."""


class UsageError(SandbotError, ValueError):
    """What was asked for is not allowed. Exit code 2."""


def unknown(kind: str, given: object, allowed: Iterable[object]) -> UsageError:
    """An error for a name that is not among the allowed ones, with the closest one.

    Args:
        kind: what the name stands for, such as "task".
        given: the name as the user gave it.
        allowed: the names that exist.

    Returns:
        The error, for the caller to raise.
    """
    names = sorted(str(name) for name in allowed)
    close = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UsageError(
        f"unknown {kind} {str(given)!r}.{hint} Known: {', '.join(names) or 'none'}."
    )
