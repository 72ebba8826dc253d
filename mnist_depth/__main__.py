"""`python -m mnist_depth`."""

import sys

from mnist_depth.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
