"""Renewal: nodes' certificates are issued anew in time, and who does not want that is warned."""
