"""Families of strategies: covering, prototypes, herding, noise, draws."""
