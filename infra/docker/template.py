"""The file that the flex template's launcher runs. Not a module of starmill: a tokenize.py beside it would hide Python's."""

import sys

from starmill.cli.template import main

sys.exit(main())
