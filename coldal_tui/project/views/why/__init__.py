"""Why a scan is, or is not, in the queue: facts, outlook and words."""
