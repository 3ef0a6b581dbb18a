"""Certificates for clients: asked for by a person, handed out once, their keys kept nowhere."""
