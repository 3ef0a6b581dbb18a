"""The actions that the machinery itself must know; an add-on may have more."""

INSTALL = "install"
UNINSTALL = "uninstall"
