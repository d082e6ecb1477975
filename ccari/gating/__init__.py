"""What every way into ccari shares: asking the gate for a call, the journal of what becomes of it, requests, and storage limits."""
