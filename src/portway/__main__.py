"""`python -m portway`: the same as the command `portway`."""

import sys

from portway.cli import main

if __name__ == "__main__":
    sys.exit(main())
