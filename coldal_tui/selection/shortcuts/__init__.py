"""Ways to spare work: buckets of points with bounds, silhouettes on a grid."""
