"""`python -m mnist_depth`."""

import sys

from mnist_depth.runtime.malloc import restart_keeping_freed_memory

if __name__ == "__main__":
    if sys.platform == "win32":
        print("mnist_depth: the commands need Linux or macOS; on Windows run them in WSL", file=sys.stderr)
        sys.exit(2)
    restart_keeping_freed_memory()

    from mnist_depth.cli import main

    sys.exit(main(sys.argv))
