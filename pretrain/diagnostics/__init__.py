"""What a method's own signals are worth, measured against annotations while it trains."""
