"""`python -m nas_bench` is `nas-bench`."""

from nas_bench.cli import main

if __name__ == "__main__":
    main()
