"""Storage limits by kind: which rows are past their limit, what keeps them, and what is erased."""
