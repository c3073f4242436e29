"""What a command ends with: its own code, or one line and a code for what went wrong."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable

from scenebench.errors import UserError
from scenebench.untrusted_text import visible

DIFFERENT = 1
"""A check found a difference, or a cell failed."""
NOT_BUILT = 3
"""``verify`` found no difference, but the toolbox that would build the exported model is not installed."""

SAYS = "scenebench: "
"""How the one line begins."""


def exit_code(command: Callable[[], int | None]) -> int:
    """Run a command; 0 where it returns nothing, 2 for bad input and a disk that cannot be written, 130 for Ctrl-C."""
    try:
        return int(command() or 0)
    except UserError as error:
        print(f"{SAYS}{visible(' '.join(str(error).split()))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{SAYS}stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe left (`scenebench protocol list | head`): nothing to say, and nobody to say it to.
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        print(f"{SAYS}{error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        return 2
