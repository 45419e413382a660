"""`python -m lab.build NAME…` builds components into the cache, and starts nothing."""

import sys

from lab.build.cache import ensure
from lab.build.components import BY_NAME

for name in sys.argv[1:]:
    print(ensure(BY_NAME[name], lambda text: print(text, flush=True)), flush=True)
