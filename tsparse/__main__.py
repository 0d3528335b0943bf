"""`python -m tsparse`."""

import sys

from tsparse.cli import main

sys.exit(main())
