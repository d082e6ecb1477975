"""Storage limits by kind: what is past its limit, what keeps it beyond, and what is erased of it."""
