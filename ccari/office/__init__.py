"""What commands, the API and the console share: bars, requests, persons, and data past their limit."""
