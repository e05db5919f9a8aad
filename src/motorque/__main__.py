"""``python -m motorque``: the command line without its script."""

import sys

from motorque.cli import main

sys.exit(main())
