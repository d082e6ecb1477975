"""What the adapters say to one another: the shapes and the protocols, so that none of them imports another."""
