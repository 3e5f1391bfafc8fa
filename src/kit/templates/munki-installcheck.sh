#!/bin/sh
# Munki: 0 asks for an installation, anything else says that there is nothing to install.
program=/opt/ccretain/bin/ccretain
[ -e "$program" ] || exit 0
@ONLY_ROOTS@
if ! only_roots "$program"; then
  echo "ccretain is not run: accounts other than root can replace $program or a folder above it" >&2
  exit 1
fi
installed=$("$program" --version 2>/dev/null) || exit 0
# A newer one stays.
newest=$(printf '%s\n' "${installed#ccretain }" "@VERSION@" | sort -t. -k1,1n -k2,2n -k3,3n | tail -n 1)
[ "ccretain $newest" = "$installed" ] || exit 0
exit 1
