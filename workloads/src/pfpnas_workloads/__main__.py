"""`python -m pfpnas_workloads`."""

from pfpnas_workloads.cli import main

if __name__ == "__main__":
    main()
