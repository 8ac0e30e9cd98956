"""Who may do what in Redis: a user for each agent and for the Jobs of each owner, and the registry of agents."""
