"""`python -m prealign`, and what `torchrun -m prealign` starts."""

from prealign.cli import main

if __name__ == "__main__":
    main()
