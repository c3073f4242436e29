"""What is said of several seeds: mean and spread, tests, bootstrap intervals, ranks. Pure functions of numbers."""
