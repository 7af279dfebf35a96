"""The file that the launcher of the flex template runs. Not starmill's own module: beside it lies a tokenize.py, which is Python's too."""

import sys

from starmill.cli.template import main

sys.exit(main())
