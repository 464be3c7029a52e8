"""`python -m gqa_reasoner`."""

import sys

from gqa_reasoner.cli import main

if __name__ == "__main__":
    sys.exit(main())
