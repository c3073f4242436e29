"""Any checkpoint evaluated by a whole suite, beside the rows of a board."""
