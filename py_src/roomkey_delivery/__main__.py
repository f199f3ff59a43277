"""`python -m roomkey_delivery`, the same as `roomkey-delivery`."""

import sys

from roomkey_delivery.cli import main

sys.exit(main())
