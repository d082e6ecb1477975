"""A person's data: disclosed in one file (Art 15 and 20), and erased (Art 17)."""
