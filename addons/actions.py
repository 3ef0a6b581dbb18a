"""The actions that the machinery or a page must know by name; an add-on may have more."""

INSTALL = "install"
CONFIGURE = "configure"
UNINSTALL = "uninstall"
REISSUE = "reissue"
