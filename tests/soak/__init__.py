"""The chaos soak: random calls and random faults in the laboratory, and a checker of the invariants.

``python -m tests.soak --minutes 20 --seed 7``; each seed gives one plan of calls and faults.
"""
