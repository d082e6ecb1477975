"""What the back office shares, at a command, in the API and in the console: bars, requests, persons, and what is past its limit."""
