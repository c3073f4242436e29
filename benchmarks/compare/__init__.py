"""Two rows or two suites compared: differences, how sure they are, and what differs in the recipes."""
