#!/bin/sh
# Kandji (Iru) custom script, the audit of a pair, run as root: 0 passes, anything else starts remediate.sh.
# Reads only. What it prints is kept by the service: a verdict and counts, no names of projects.
program=/opt/ccretain/bin/ccretain
if [ ! -x "$program" ]; then
  echo "ccretain is not installed"
  exit 1
fi
# Root runs the program, so nobody else may be able to replace it, or a folder above it.
only_roots() {
  path=$1
  while [ -n "$(find "$path" -prune -user 0 ! -type l ! -perm -020 ! -perm -002 2>/dev/null)" ]; do
    [ "$path" != / ] || return 0
    path=$(dirname "$path")
  done
  return 1
}
if ! only_roots "$program"; then
  echo "ccretain is not run: accounts other than root can replace $program or a folder above it"
  exit 1
fi
if ! launchctl print system/io.github.ccretain >/dev/null 2>&1; then
  echo "ccretain is not scheduled"
  exit 1
fi
"$program" --all-users check --exit-style intune
