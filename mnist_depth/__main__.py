"""`python -m mnist_depth` and the console script `mnist-depth`."""

import sys

from mnist_depth.runtime.malloc import restart_keeping_freed_memory


def main() -> int:
    """Run the command line of this process. Returns the exit code."""
    if sys.platform == "win32":
        print("mnist_depth: the commands need Linux or macOS; on Windows run them in WSL", file=sys.stderr)
        return 2
    restart_keeping_freed_memory()

    from mnist_depth.cli import main as run_command

    return run_command(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
