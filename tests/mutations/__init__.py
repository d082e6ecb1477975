"""The mutation check: ways to break the product, for each invariant, that its tests must notice.

``python -m tests.mutations`` tries them one after the other on a copy of the checkout.
"""
