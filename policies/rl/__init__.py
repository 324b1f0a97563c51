"""Learning by trial and error: one file per algorithm, and what they share.

``fastsac`` ... hold a configuration and losses each. Environments as tensors
(:mod:`~policies.rl.worlds`), replay, networks, the loop, its state and the checkpoint
stand in here once.
"""

from typing import Any


def load(*arguments: Any, **options: Any) -> Any:
    """See :func:`policies.rl.policy.load`; torch waits until it is called."""
    from policies.rl import policy

    return policy.load(*arguments, **options)
