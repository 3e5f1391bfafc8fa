#!/bin/sh
# Munki: 0 asks for an installation, anything else says that there is nothing to install.
version=$(/usr/local/bin/ccretain --version 2>/dev/null) || exit 0
[ "$version" = "ccretain @VERSION@" ] || exit 0
exit 1
