"""Start + goal -> :class:`planners.trajectory.Trajectory`.

Planners take the checks and roll-outs that they need as callables, so they never know
which engine or task they plan for.
"""
