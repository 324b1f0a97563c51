"""How good, how sure, does it transfer?

:func:`evaluation.rollout.evaluate` runs policies in engines under randomisations,
:mod:`evaluation.compare` pairs the episodes, :func:`evaluation.report.write_report`
makes the page.
"""
