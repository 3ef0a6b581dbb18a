"""Redoubt beside what people use instead, on the same fresh nodes, in one run."""
