"""What a person runs against a cluster from their own machine, with their own kubeconfig and their own rights."""
