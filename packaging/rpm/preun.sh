# Before removing ($1 = 0); nothing at an upgrade.
if [ "$1" -eq 0 ]; then
  systemctl disable ccretain.timer >/dev/null 2>&1 || :
  if [ -d /run/systemd/system ]; then
    systemctl stop ccretain.timer ccretain.service >/dev/null 2>&1 || :
  fi
  # What 'ccretain schedule install --system' put in place, under systemd or cron.
  HOME=${HOME:-/root} /usr/bin/ccretain --quiet schedule remove --system >/dev/null 2>&1 || :
fi
