"""Writers of pages, and the prose of our own study: run from a checkout, no part of the installed packages."""
