"""The loop in the app: the next step, exports, imports."""
