"""Running calls on ARI."""
