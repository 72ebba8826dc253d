"""`python -m mnist_depth`."""

import sys

from mnist_depth.allocator import restart_keeping_freed_memory

if __name__ == "__main__":
    restart_keeping_freed_memory()

    from mnist_depth.cli import main

    sys.exit(main(sys.argv))
