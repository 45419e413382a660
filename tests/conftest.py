"""What holds for all tests."""

from __future__ import annotations

import signal

# A shell that runs something behind itself has it ignore Ctrl-C, which everything that the tests start would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
