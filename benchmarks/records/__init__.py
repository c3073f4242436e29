"""Records: born and sealed (record), migrated (versions), admitted, found, stored, collected, added to a board."""
