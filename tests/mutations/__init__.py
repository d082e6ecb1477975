"""The mutation check: for each invariant, ways of breaking the product that its tests have to notice.

``python -m tests.mutations`` carries them out one after the other on a copy of the checkout.
"""
