"""A made-up fleet, to see and to measure the panel with."""
