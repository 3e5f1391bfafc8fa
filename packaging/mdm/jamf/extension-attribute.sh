#!/bin/sh
# Jamf Pro extension attribute, type String: the verdict of ccretain for this Mac, for smart groups.
# Reads only. Without a result a blank would be stored, so there is one for every end.
program=/opt/ccretain/bin/ccretain
if [ ! -x "$program" ]; then
  echo "<result>not installed</result>"
  exit 0
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
  echo "<result>not run: others can replace the program</result>"
  exit 0
fi
verdict=$("$program" --all-users check --format jamf 2>/dev/null)
case $verdict in
  *"<result>"*) printf '%s\n' "$verdict" ;;
  *) echo "<result>unknown</result>" ;;
esac
exit 0
