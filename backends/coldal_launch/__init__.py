"""Where a job runs: this machine's CPU and GPUs; the worker process itself."""
