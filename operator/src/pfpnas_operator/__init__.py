"""The operator: pure decisions (`reconcile`), their one-machine driver (`local`), reports and the command line."""
