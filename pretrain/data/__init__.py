"""From image files to batches of augmented views."""
