"""`python -m pfpnas_agent`: the same as `pfpnas-agent`."""

from pfpnas_agent.cli import main

main()
