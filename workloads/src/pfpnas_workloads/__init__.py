"""The workloads: supernet training, the public predictor, candidates, and tuners; each a process of its own."""
