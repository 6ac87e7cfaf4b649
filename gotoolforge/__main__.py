"""`python -m gotoolforge`."""

import sys

from gotoolforge.cli import main

if __name__ == "__main__":
    sys.exit(main())
