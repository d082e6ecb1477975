"""The chaos soak: random calls and random faults on the laboratory, and a checker of the invariants.

``python -m tests.soak --minutes 20 --seed 7``; one seed is one plan of calls and faults.
"""
