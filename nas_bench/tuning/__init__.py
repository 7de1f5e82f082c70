"""Equal tuning: the same number of configurations and the same FLOPs for every method."""
