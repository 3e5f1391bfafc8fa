#!/bin/sh
# Kandji (Iru) custom script, the audit of a pair, run as root: 0 passes, anything else starts remediate.sh.
# Reads only. What it prints is kept by the service: a verdict and counts, no names of projects.
program=/opt/ccretain/bin/ccretain
if [ ! -x "$program" ]; then
  echo "ccretain is not installed"
  exit 1
fi
@ONLY_ROOTS@
if ! only_roots "$program"; then
  echo "ccretain is not run: accounts other than root can replace $program or a folder above it"
  exit 1
fi
if ! launchctl print system/@DOMAIN@ >/dev/null 2>&1; then
  echo "ccretain is not scheduled"
  exit 1
fi
"$program" --all-users check --exit-style intune
