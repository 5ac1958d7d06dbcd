"""The loop as the app offers it: the next step, handing scans out, taking masks back."""
