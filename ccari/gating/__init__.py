"""What every way of calling shares: asking the gate for a call, and the journal of what becomes of it."""
