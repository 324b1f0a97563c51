"""A robot, a task and a policy for sandbot, from outside of it."""
