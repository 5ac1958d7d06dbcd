"""The work of jobs: encoders, segmentation, and the steps that workers run. Uses no database."""
