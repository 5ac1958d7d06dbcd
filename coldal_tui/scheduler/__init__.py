"""Jobs of a project: their queue, plans, launch, supervision and commit."""
