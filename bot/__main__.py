"""`python -m bot` is `ratchet`."""

import sys

from bot.cli import main

sys.exit(main())
