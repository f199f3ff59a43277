"""`python -m roomkey_cli`, the same as `roomkey`."""

import sys

from roomkey_cli.cli import main

sys.exit(main())
