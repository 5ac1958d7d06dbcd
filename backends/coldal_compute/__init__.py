"""What a job does: encoders, segmentation, and the steps that workers run. Knows no database."""
