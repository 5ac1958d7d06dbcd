"""Replaying selection and training on scans whose masks are known."""
