"""The ladder of reinforcement learning, rung by rung, from counting states to SAC.

Each rung is one file, read downwards, and takes one idea away from the one before:

| rung | file | what it no longer needs |
|---|---|---|
| value and policy iteration | ``dynamic_programming`` | |
| Monte Carlo | ``monte_carlo`` | the model |
| TD(0) | ``temporal_difference`` | the end of the episode |
| SARSA, expected SARSA | ``sarsa`` | a policy that is given |
| Q-learning | ``q_learning`` | that it learns about what it does |
| DQN | ``dqn`` | states that can be counted |
| REINFORCE | ``reinforce`` | values |
| A2C | ``a2c`` | the end of the episode, again |

Tables learn on any Gymnasium environment whose states and actions are counted, the arm
in cells among them (``arm_cells``); ``table_driver`` lets a table drive the real arm.
``python -m benchmarks.ladder`` measures them all and draws ``docs/ladder``.
"""
