"""`python -m kubemr`: the command line."""

from kubemr.cli import main

if __name__ == "__main__":
    main()
