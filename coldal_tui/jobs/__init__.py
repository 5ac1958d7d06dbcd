"""What a job is, the queue of jobs, the supervisor, and the protocol of a backend."""
