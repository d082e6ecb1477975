"""What every way of calling shares: asking the gate, and the call's journal."""
