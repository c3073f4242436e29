"""``python -m scenebench``: the command line."""

import sys

from scenebench.cli import main

if __name__ == "__main__":
    sys.exit(main())
