"""`python -m roomkey_relay`, the same as `roomkey-relay`."""

import sys

from roomkey_relay.cli import main

sys.exit(main())
