"""What goes of each kind when its time is over, and what keeps it."""
