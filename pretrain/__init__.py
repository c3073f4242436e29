"""Learning a backbone from unlabelled scene images."""
