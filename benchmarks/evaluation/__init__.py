"""One evaluation of one backbone by one protocol; the tasks themselves are beside it."""
