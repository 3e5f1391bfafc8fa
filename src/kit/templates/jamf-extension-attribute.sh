#!/bin/sh
# Jamf Pro extension attribute, type String: the verdict of ccretain for this Mac, for smart groups.
# Reads only. Without a result a blank would be stored, so there is one for every end.
program=/opt/ccretain/bin/ccretain
if [ ! -x "$program" ]; then
  echo "<result>not installed</result>"
  exit 0
fi
@ONLY_ROOTS@
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
