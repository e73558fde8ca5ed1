"""`python -m monobody.cli`, as launchers of several processes start it."""

import sys

from monobody.cli import main

if __name__ == "__main__":
    sys.exit(main())
