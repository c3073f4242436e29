"""Results from outside: judge anybody's checkpoint by a suite, add records to a board, compare two of anything."""
